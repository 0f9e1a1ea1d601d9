"""Memory does not grow with the entries of a layer, wherever in the directories they are."""

from __future__ import annotations

import contextlib
import tempfile

import pytest

from strake_builder.rootfs.mounts.memory_directory import SHARED_MEMORY
from tests.fixtures.content.many_entries import peak_memory

FEW, MANY = 4_000, 40_000
SLACK = 4 << 20
"""Bytes. One object for each entry, or its name, would be more."""


@contextlib.contextmanager
def unpacked(shape: str):
    """Trees of few and many entries, and what unpacking took. In shared memory: disks may be slow with them."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as name:
        yield name, [peak_memory("unpack", shape, count, name) for count in (FEW, MANY)]


def assert_flat(peaks: list[int]) -> None:
    few, many = peaks
    assert many - few < SLACK


@pytest.fixture(scope="module")
def files():
    with unpacked("files") as trees:
        yield trees


def test_unpacking_files(files):
    assert_flat(files[1])


@pytest.mark.parametrize("work", ["changes", "copy", "scan"])
def test_reading_files(files, work):
    assert_flat([peak_memory(work, "files", count, files[0]) for count in (FEW, MANY)])


def test_directories():
    with unpacked("directories") as (trees, peaks):
        assert_flat(peaks)
        assert_flat([peak_memory("scan", "directories", count, trees) for count in (FEW, MANY)])
