"""Content moves whole, and holes stay holes."""

from __future__ import annotations

import os

import pytest

from strake_builder.rootfs.files.file_content import copy_content

MIB = 1 << 20


def copy(path, target) -> None:
    with open(path, "rb") as reader, open(target, "wb") as writer:
        copy_content(reader.fileno(), writer.fileno(), os.stat(path).st_size)


@pytest.fixture(params=["in the kernel", "piece by piece"])
def way(request, monkeypatch):
    if request.param == "piece by piece":

        def refuse(*_: object) -> int:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "copy_file_range", refuse)


@pytest.mark.parametrize(
    "runs",
    [[(0, b"all data")], [(3 * MIB, b"end")], [(0, b"start")], [(MIB, b"a"), (5 * MIB, b"b" * MIB)], []],
)
def test_holes_stay_holes(way, tmp_path, runs):
    source, target = tmp_path / "source", tmp_path / "target"
    with open(source, "wb") as file:
        for offset, data in runs:
            file.seek(offset)
            file.write(data)
        file.truncate(max(8 * MIB, file.tell()) if runs != [(0, b"all data")] else None)
    copy(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks + 16


def test_a_file_that_tells_no_size_is_read_to_its_end(tmp_path):
    copy("/proc/self/status", tmp_path / "copy")
    assert b"Name:" in (tmp_path / "copy").read_bytes()
