"""Keeps directories open that members of an archive are in: to resolve a path costs more than a file."""

from __future__ import annotations

import os
from typing import Final

from strake_oci.lazy_dataclass import dataclass

_OPEN: Final = 32
"""Directories at a time: archives go through a tree depth first."""
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class OpenParent:
    """A directory that was resolved.

    Attributes:
        path: of it in the root, without links.
        directory: descriptor of it (O_PATH).
    """

    path: bytes
    directory: int

    def inside(self, name: bytes) -> bytes:
        """Return the path of a name in it."""
        return self.path + b"/" + name if self.path else name


class OpenParents:
    """Directories by the paths that an archive has for them, which may go through links."""

    def __init__(self) -> None:
        self._open: dict[bytes, OpenParent] = {}

    def get(self, asked: bytes) -> OpenParent | None:
        """Return a directory that is open, or is in one that is; None where its path is to be resolved."""
        found = self._open.pop(asked, None) or self._enter(asked)
        if found is not None:
            self._open[asked] = found  # the last in order is the last to be closed
        return found

    def add(self, asked: bytes, path: bytes, directory: int) -> None:
        """Take a directory over that was resolved; its descriptor is duplicated."""
        self._make_room()
        self._open[asked] = OpenParent(path, os.dup(directory))

    def forget(self) -> None:
        """Close all: something was replaced that a path may go through."""
        while self._open:
            os.close(self._open.popitem()[1].directory)

    def _enter(self, asked: bytes) -> OpenParent | None:
        outer, _, name = asked.rpartition(b"/")
        parent = self._open.get(outer)
        if parent is None or name in {b"", b".", b".."}:
            return None
        try:
            directory = os.open(name, _DIRECTORY, dir_fd=parent.directory)
        except OSError:
            return None  # a link, or not there yet
        self._make_room()
        return OpenParent(parent.inside(name), directory)

    def _make_room(self) -> None:
        if len(self._open) >= _OPEN:
            os.close(self._open.pop(next(iter(self._open))).directory)
