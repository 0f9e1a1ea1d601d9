"""How much git has received is told while it does, and when it is done."""

from __future__ import annotations

import threading

import pytest

from strake_builder.context.git.received import received

URL = "https://git.example/app.git"


def test_a_pack_that_grows_and_those_of_submodules(tmp_path):
    heard: list[tuple[str, int, int | None]] = []
    told = threading.Event()

    def watch(*event: object) -> None:
        heard.append(event)  # type: ignore[arg-type] # as a Watch is called
        told.set()

    with received(str(tmp_path / ".git"), URL, watch, between=0.01):
        packs = tmp_path / ".git/objects/pack"
        packs.mkdir(parents=True)
        (packs / "tmp_pack_x").write_bytes(bytes(1000))
        assert told.wait(60)
        inner = tmp_path / ".git/modules/lib/objects/pack"
        inner.mkdir(parents=True)
        (inner / "pack-y.pack").write_bytes(bytes(500))
        (inner / "link").symlink_to("/proc/kcore")
        (tmp_path / ".git/other").write_bytes(bytes(9999))
    assert heard[0] == (URL, 1000, None)
    assert heard[-1] == (URL, 1500 + len("/proc/kcore"), 1500 + len("/proc/kcore"))


def test_a_fetch_that_fails_tells_no_end(tmp_path):
    heard: list[object] = []
    (tmp_path / "objects/pack").mkdir(parents=True)
    (tmp_path / "objects/pack/x").write_bytes(b"x")
    with (
        pytest.raises(ValueError, match="no"),
        received(str(tmp_path), URL, lambda *event: heard.append(event), between=60),
    ):
        raise ValueError("no")
    assert heard == []
