"""Holds one directory of a tree at a time: one open descriptor, however deep an untrusted tree is."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from strake_builder.errors import InternalError
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY


class Cursor:
    """An open directory that steps down by name, never through a link, and up again.

    The way up is `..`, held against the identity noted on the way down.

    Args:
        directory: where it begins, and above which it never goes.
    """

    def __init__(self, directory: str | bytes) -> None:
        self.fd = os.open(directory, OPEN_DIRECTORY)
        self._above: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.fd)

    def down(self, name: bytes) -> None:
        """Step into a directory.

        Raises:
            OSError: it is none (ELOOP, ENOTDIR), or not there.
        """
        found = os.fstat(self.fd)
        self._move(os.open(name, OPEN_DIRECTORY, dir_fd=self.fd))
        self._above.append((found.st_dev, found.st_ino))

    def up(self) -> None:
        """Step back to where `down` was called."""
        self._move(os.open(b"..", OPEN_DIRECTORY, dir_fd=self.fd))
        found = os.fstat(self.fd)
        if (found.st_dev, found.st_ino) != self._above.pop():
            raise InternalError("a directory was moved while it was read")

    def _move(self, fd: int) -> None:
        os.close(self.fd)
        self.fd = fd
