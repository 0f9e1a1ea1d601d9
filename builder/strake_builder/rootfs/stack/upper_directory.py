"""Writes a layer in overlay's form, in step with a walk through the tree that it is taken from.

A directory is made when the first thing is written into it, and given its metadata when the walk leaves
it, since the walk has it open then.
"""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import Self

from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles
from strake_builder.rootfs.files.clone import Cloner, attribute_names, clone_directory_metadata
from strake_builder.rootfs.files.cursor import Cursor
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.stack.layer_stack import OPAQUE_XATTR
from strake_builder.rootfs.stack.whiteout import make_whiteout


class UpperDirectory:
    """A layer that is being written. Use it as a context.

    Args:
        directory: an existing empty directory.
        deferred: takes files whose layer has no more of them than content and plain metadata.
    """

    def __init__(self, directory: str, deferred: DeferredFiles | None = None) -> None:
        self._deferred = deferred
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

    def clone(self, source: int, found: os.stat_result, name: bytes, *, replaces: bool) -> None:
        """Write what is no directory as the walk's current directory has it.

        Args:
            source: the walk's current directory, open.
            found: what is there.
            name: in it.
            replaces: whether the lower layers have something of its path.
        """
        target = self._current()
        if not self._defers(source, found, name, replaces=replaces):
            self._cloner.clone(source, name, found, target, self._trail)

    def _defers(self, source: int, found: os.stat_result, name: bytes, *, replaces: bool) -> bool:
        if (
            self._deferred is None
            or not stat.S_ISREG(found.st_mode)
            or found.st_nlink > 1
            or attribute_names(b"/proc/self/fd/%d/%s" % (source, name))
        ):
            return False
        path, mode = b"/".join([*self._trail, name]), stat.S_IMODE(found.st_mode)
        numbers = (mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns)
        return self._deferred.add(DeferredFile(path, path, *numbers), replaces=replaces)

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
