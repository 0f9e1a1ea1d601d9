"""Finds what was changed in a tree since it was last looked at, and makes a layer of it.

The layer is a superset of the change: what has a later ctime. Whether that is a change to the image is
decided where overlay's upper directories are read, which have the same property (`changes.py`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from strake_builder.errors import StepError
from strake_builder.rootfs.clone import is_whiteout
from strake_builder.rootfs.cursor import Cursor
from strake_builder.rootfs.tree_state import DirectoryState, TreeState, compare, list_directory
from strake_builder.rootfs.upper_directory import UpperDirectory


def write_differences(root: str, before: TreeState, upper: str) -> TreeState:
    """Write into a new directory what differs in a tree from its state, and return the new state.

    Args:
        root: the tree; nobody changes it meanwhile.
        before: what it looked like.
        upper: an existing empty directory, which becomes a layer.

    Raises:
        StepError: the tree has something that no layer can hold.
        OSError: the file system refused, for example because it is full.
    """
    with Cursor(root) as cursor, UpperDirectory(upper) as writer:
        return _Comparison(cursor, writer).run(before.top)


def check_first_layer(directory: str) -> None:
    """Make sure that a tree that was written over nothing can be a layer as it is.

    Raises:
        StepError: it has something that no layer can hold.
    """
    with Cursor(directory) as cursor:
        trail: list[bytes] = []
        stack = [_check_members(cursor.fd, trail)]
        while stack:
            if stack[-1]:
                trail.append(stack[-1].pop())
                cursor.down(trail[-1])
                stack.append(_check_members(cursor.fd, trail))
                continue
            stack.pop()
            if trail:
                trail.pop()
                cursor.up()


def _check_members(fd: int, trail: list[bytes]) -> list[bytes]:
    """Check what is in a directory and return the directories in it."""
    state = list_directory(fd).state
    for name, member in state:
        if member.is_character_device and is_whiteout(_lstat(fd, name)):
            raise _poses_as_whiteout(b"/" + b"/".join([*trail, name]))
    return state.directories()


@dataclass(slots=True)
class _Below:
    """A directory that is still to be compared.

    Attributes:
        name: in the directory above it.
        before: what was in it; None where all of it is new.
        changed: it is itself part of the layer, whatever is in it.
        opaque: something else was in its place.
    """

    name: bytes
    before: DirectoryState | None
    changed: bool = False
    opaque: bool = False


@dataclass(slots=True)
class _Level:
    """A directory that is being compared: its new state, and what is left to enter."""

    state: DirectoryState
    waiting: list[_Below]


class _Comparison:
    def __init__(self, cursor: Cursor, upper: UpperDirectory) -> None:
        self._cursor = cursor
        self._upper = upper
        self._newest = 0

    def run(self, before: DirectoryState) -> TreeState:
        """Depth first with a stack of our own: a tree may be deeper than Python's."""
        stack = [self._compare(before)]
        top = stack[0].state
        while True:
            level = stack[-1]
            if level.waiting:
                below = level.waiting.pop()
                self._cursor.down(below.name)
                self._upper.down(below.name)
                if below.changed:
                    self._upper.directory(opaque=below.opaque)
                stack.append(self._compare(below.before))
                level.state.below[below.name] = stack[-1].state
                continue
            stack.pop()
            self._upper.up(self._cursor.fd)
            if not stack:
                return TreeState(top, self._newest)
            self._cursor.up()

    def _compare(self, before: DirectoryState | None) -> _Level:
        """Compare the current directory; `before` is None where everything in it is new."""
        listing = list_directory(self._cursor.fd)
        self._newest = max(self._newest, listing.newest)
        was = before or DirectoryState()
        if (was.names, was.records) == (listing.state.names, listing.state.records):
            waiting = [_Below(name, state) for name, state in was.below.items()]
        else:
            waiting = self._write(listing.state, was)
        return _Level(listing.state, waiting)

    def _write(self, now: DirectoryState, before: DirectoryState) -> list[_Below]:
        """Write what is new, changed or gone in the current directory; return what to enter."""
        waiting = []
        for name, was, member in compare(before, now):
            if member is None:
                self._upper.whiteout(name)
            elif member.is_directory:
                stays = was is not None and was.same_inode(member) and was.is_directory
                opaque = was is not None and not stays
                waiting.append(_Below(name, before.below[name] if stays else None, was != member, opaque))
            elif was != member:
                found = _lstat(self._cursor.fd, name)
                if is_whiteout(found):
                    raise _poses_as_whiteout(os.path.join(self._upper.path, name))
                self._upper.clone(self._cursor.fd, found, name)
        return waiting


def _lstat(directory: int, name: bytes) -> os.stat_result:
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _poses_as_whiteout(path: bytes) -> StepError:
    shown = path[:200].decode(errors="replace")
    return StepError(
        f"the step made {shown}, a character device 0:0, which in a layer says that a path is gone",
        hint="remove it in the same RUN",
    )
