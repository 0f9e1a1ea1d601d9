"""Remembers what the builder renames for a step, so that a rename alone is no change of the image.

A rename moves a file's ctime, by which changes are found (`rootfs/diff`). What has the same ctime just after
it was renamed to where the step sees it and just before it is renamed back was not touched meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


class Renamed:
    """What was renamed in one root."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[int, int]] = {}
        self._untouched: set[bytes] = set()

    def away(self, path: bytes, directory: int | None, name: bytes) -> None:
        """Note that what belongs at a path of the root has just been renamed to `name` in a directory."""
        self._seen[path] = _state(directory, name)

    def back(self, path: bytes, directory: int | None, name: bytes) -> None:
        """Note that it is about to be renamed back to its path."""
        if path in self._seen and self._seen[path] == _state(directory, name):
            self._untouched.add(path)

    def touched(self) -> set[bytes]:
        """Return the paths that a step did something to, or that it removed."""
        return self._seen.keys() - self._untouched

    def untouched(self) -> list[bytes]:
        """Return the paths that are again what they were."""
        return sorted(self._untouched)


@contextlib.contextmanager
def same_times(directory: int) -> Iterator[None]:
    """Keep the times of an open directory in which something is renamed, made or removed."""
    path = f"/proc/self/fd/{directory}"
    found = os.stat(path)
    try:
        yield
    finally:
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _state(directory: int | None, name: bytes) -> tuple[int, int]:
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return found.st_ino, found.st_ctime_ns
