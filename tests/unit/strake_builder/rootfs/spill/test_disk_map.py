"""A map that moves to a file is still the same map."""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_builder.rootfs.spill.disk_map import DiskMap

keys = st.binary(max_size=2)
steps = st.lists(
    st.tuples(st.sampled_from(["setdefault", "discard", "get"]), keys, st.binary(max_size=3)), max_size=40
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@given(steps=steps, in_memory=st.integers(0, 5))
def test_it_does_what_a_dictionary_does(scratch, steps, in_memory):
    model: dict[bytes, bytes] = {}
    with contextlib.closing(DiskMap(str(scratch), in_memory)) as found:
        for act, key, value in steps:
            match act:
                case "setdefault":
                    assert found.setdefault(key, value) == model.setdefault(key, value)
                case "discard":
                    found.discard(key)
                    model.pop(key, None)
                case _:
                    assert found.get(key) == model.get(key)
        assert list(found) == list(model)
        assert os.listdir(scratch) == []


def test_what_was_closed_is_empty(tmp_path):
    found = DiskMap(str(tmp_path), 1)
    for key in (b"a", b"b", b"c"):
        found.setdefault(key, key)
    found.close()
    assert list(found) == []
    found.close()


def fill(found: DiskMap) -> None:
    for number in range(100):
        found.setdefault(b"%d" % number, bytes(100_000))


def test_a_full_disk_is_told_as_one(tmp_path):
    (tmp_path / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path / "small"], check=True)
    try:
        found = DiskMap(str(tmp_path / "small"), 1)
        with pytest.raises(OSError, match="No space left"):
            fill(found)
        found.close()
    finally:
        subprocess.run(["umount", "-l", tmp_path / "small"], check=True)
