"""Names come in byte order, however many there are and however few fit into memory."""

from __future__ import annotations

import os
import random

import pytest

from strake_builder.rootfs.spill.names import RUN, Names, sorted_names

NAMES = [b"%x" % number for number in random.Random(7).sample(range(1 << 60), 3000)] + [
    b"\xff",
    b" ",
    b"\n" * 255,
]


@pytest.mark.parametrize("run", [1, 2, 7, 1000, len(NAMES), len(NAMES) + 1])
def test_they_come_in_byte_order(tmp_path, run):
    names = Names(str(tmp_path), run)
    for name in NAMES:
        names.add(name)
    assert list(names.sorted()) == sorted(NAMES)
    assert not os.listdir(tmp_path)


def test_none_at_all(tmp_path):
    assert list(sorted_names(os.fsencode(tmp_path), str(tmp_path))) == []


@pytest.mark.parametrize("count", [3, RUN, RUN + 1])
def test_those_of_a_directory(tmp_path, count):
    directory = tmp_path / "d"
    directory.mkdir()
    wanted = sorted(b"%d\xff" % number for number in range(count))
    for name in wanted:
        os.mknod(os.fsencode(directory) + b"/" + name)
    fd = os.open(directory, os.O_RDONLY)
    try:
        assert list(sorted_names(fd, str(tmp_path))) == wanted
        assert list(sorted_names(fd, str(tmp_path))) == wanted, "a second time"
    finally:
        os.close(fd)
    assert os.listdir(tmp_path) == ["d"]


def test_they_are_those_of_the_moment(tmp_path):
    (tmp_path / "a").touch()
    names = sorted_names(os.fsencode(tmp_path), str(tmp_path))
    (tmp_path / "b").touch()
    assert list(names) == [b"a"]
