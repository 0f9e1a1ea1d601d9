"""Writes a layer in overlay's form, in step with a walk through the tree that it is taken from.

A directory is made when the first thing is written into it, and given its metadata when the walk leaves
it, since the walk has it open then.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from strake_builder.rootfs.files.clone import Cloner, clone_directory_metadata
from strake_builder.rootfs.files.cursor import Cursor
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.stack.layer_stack import OPAQUE_XATTR
from strake_builder.rootfs.stack.whiteout import make_whiteout


class UpperDirectory:
    """A layer that is being written. Use it as a context.

    Args:
        directory: an existing empty directory.
    """

    def __init__(self, directory: str) -> None:
        self._cursor = Cursor(directory)
        self._root = Root(directory)
        self._cloner = Cloner(self._root)
        self._trail: list[bytes] = []
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._cursor, self._root:
            self._cloner.close()

    def down(self, name: bytes) -> None:
        """The walk enters a directory."""
        self._trail.append(name)

    @property
    def path(self) -> bytes:
        """The walk's current directory, absolute."""
        return b"/" + b"/".join(self._trail)

    def up(self, source: int) -> None:
        """The walk leaves a directory, which is still open as `source`; at the end the outermost."""
        if self._made == len(self._trail):
            clone_directory_metadata(source, self._cursor.fd)
            if self._trail:
                self._cursor.up()
                self._made -= 1
        if self._trail:
            self._trail.pop()

    def directory(self, *, opaque: bool) -> None:
        """Write the walk's current directory itself; `opaque` hides what lower layers have in it."""
        target = self._current()
        if opaque:
            os.setxattr(target, OPAQUE_XATTR, b"y")

    def clone(self, source: int, found: os.stat_result, name: bytes) -> None:
        """Write what is no directory as the walk's current directory, open as `source`, has it."""
        self._cloner.clone(source, name, found, self._current(), self._trail)

    def whiteout(self, name: bytes) -> None:
        """Write that a name of the walk's current directory is gone."""
        make_whiteout(name, self._current())

    def _current(self) -> int:
        """Return the counterpart of the walk's current directory, made with its parents if missing."""
        while self._made < len(self._trail):
            name = self._trail[self._made]
            try:
                self._cursor.down(name)
            except FileNotFoundError:
                os.mkdir(name, 0o700, dir_fd=self._cursor.fd)
                self._cursor.down(name)
            self._made += 1
        return self._cursor.fd
