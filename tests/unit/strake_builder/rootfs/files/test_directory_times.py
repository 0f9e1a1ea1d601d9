"""Times of directories are set last, the later note of two, whatever became of the paths."""

from __future__ import annotations

import contextlib
import os

import pytest

from strake_builder.rootfs.files.directory_times import DirectoryTimes
from strake_builder.rootfs.files.inside import Root


@pytest.mark.parametrize("padding", [0, 20_000])
def test_they_are_those_noted_last(tmp_path, padding):
    root, inner = tmp_path / "root", "a/" + "b" * 100
    for name in (inner, "becomes a file", "link's target"):
        (root / name).mkdir(parents=True)
    (root / "link").symlink_to("link's target")
    untouched = (root / "link's target").stat().st_mtime_ns
    with Root(root) as opened, contextlib.closing(DirectoryTimes(str(tmp_path))) as times:
        for path, mtime in (
            (b"a", 1),
            (inner.encode(), 2_500_000_001),
            (b"", -7),
            (b"a", 3),
            (b"becomes a file", 4),
            (b"link", 5),
        ):
            times.note(path, mtime)
        for number in range(padding):  # more than is kept in memory
            times.note(inner.encode(), 10_000 + number)
        (root / "becomes a file").rmdir()
        (root / "becomes a file").write_text("x")
        times.set(opened)
    found = [os.stat(root / name).st_mtime_ns for name in (".", "a", inner)]
    assert found == [-7, 3, 9_999 + padding if padding else 2_500_000_001]
    assert (root / "link's target").stat().st_mtime_ns == untouched
    assert (root / "becomes a file").stat().st_mtime_ns != 4


def test_the_last_time_there_is(tmp_path):
    with Root(tmp_path) as root, contextlib.closing(DirectoryTimes(str(tmp_path))) as times:
        times.note(b"", ((1 << 63) - 1) * 1_000_000_000)
        times.set(root)
    assert tmp_path.stat().st_mtime > 1 << 31
