"""Copies layers together into a plain directory, as overlay would stack them.

Rules: kernel Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". The topmost
layer that has a path says what it is; directories merge, and have the topmost one's metadata.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from strake_builder import interrupt
from strake_builder.rootfs.files.clone import Cloner, clone_directory_metadata
from strake_builder.rootfs.files.cursor import Cursor
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.lookup import stat_at
from strake_builder.rootfs.files.remove import remove_entry
from strake_builder.rootfs.spill.names import Names, sorted_names
from strake_builder.rootfs.stack.layer_stack import is_opaque
from strake_builder.rootfs.stack.whiteout import is_whiteout


def apply_layer(layer: str, root: str) -> None:
    """Stack a layer onto a directory that holds its lower layers.

    Args:
        layer: a directory in overlay's form.
        root: written to; what is in it was made by this function alone.

    Raises:
        OSError: the file system refused, for example because it is full.
    """
    with Cursor(layer) as source, Cursor(root) as target, Root(root) as inside:
        cloner = Cloner(inside)
        with contextlib.closing(cloner):
            _Application(source, target, cloner, inside.beside).run()


class _Application:
    def __init__(self, source: Cursor, target: Cursor, cloner: Cloner, scratch: str) -> None:
        self._source = source
        self._target = target
        self._cloner = cloner
        self._scratch = scratch
        self._trail: list[bytes] = []

    def run(self) -> None:
        """Depth first with a stack of our own: a tree may be deeper than Python's."""
        stack = [self._apply_members()]
        while True:
            name = next(stack[-1], None)
            if name is not None:
                self._source.down(name)
                self._target.down(name)
                self._trail.append(name)
                stack.append(self._apply_members())
                continue
            stack.pop()
            clone_directory_metadata(self._source.fd, self._target.fd)
            if not stack:
                return
            self._source.up()
            self._target.up()
            self._trail.pop()

    def _apply_members(self) -> Iterator[bytes]:
        """Apply everything in the current directory but the content of directories; return their names."""
        target = self._target.fd
        if is_opaque(self._source.fd):
            for name in sorted_names(target, self._scratch):
                remove_entry(target, name)
        empty = _is_empty(target)
        directories = Names(self._scratch)
        with os.scandir(self._source.fd) as entries:
            for entry in entries:
                interrupt.check()
                name, found = os.fsencode(entry.name), entry.stat(follow_symlinks=False)
                is_directory = stat.S_ISDIR(found.st_mode)
                there = None if empty else stat_at(target, name)
                merges = is_directory and there is not None and stat.S_ISDIR(there.st_mode)
                if there is not None and not merges:
                    remove_entry(target, name)
                if is_directory:
                    if not merges:
                        os.mkdir(name, 0o700, dir_fd=target)
                    directories.add(name)
                elif not is_whiteout(found):
                    self._cloner.clone(self._source.fd, name, found, target, self._trail)
        return directories.sorted()


def _is_empty(directory: int) -> bool:
    with os.scandir(directory) as entries:
        return next(entries, None) is None
