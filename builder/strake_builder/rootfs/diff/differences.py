"""Finds what was changed in a tree since it was last looked at, and makes a layer of it.

The layer is a superset of the change: what has a later ctime. Whether that is a change to the image is
decided where overlay's upper directories are read, which have the same property (`changes.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from strake_builder import interrupt
from strake_builder.errors import StepError
from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.rootfs.diff.tree_state import Listed, TreeRecord, TreeState, compare
from strake_builder.rootfs.files.cursor import Cursor
from strake_builder.rootfs.spill.names import Names, sorted_names
from strake_builder.rootfs.stack.upper_directory import UpperDirectory
from strake_builder.rootfs.stack.whiteout import is_whiteout


def write_differences(
    root: str, before: TreeState, upper: str, scratch: str, deferred: DeferredFiles | None = None
) -> TreeState:
    """Write into a new directory what differs in a tree from its state, and return the new state.

    Args:
        root: the tree; nobody changes it meanwhile.
        before: what it looked like.
        upper: an existing empty directory, which becomes a layer.
        scratch: a directory on disk, for what is noted.
        deferred: takes files in place of the directory, with the tree as their source.

    Raises:
        StepError: the tree has something that no layer can hold.
        OSError: the file system refused, for example because it is full.
    """
    now = TreeRecord(scratch)
    if deferred is not None:
        deferred.read_from(root)
    try:
        with Cursor(root) as cursor, UpperDirectory(upper, deferred) as writer:
            return TreeState(now, _Comparison(cursor, writer, before.record, now).run(before.top))
    except BaseException:
        now.close()
        raise


def check_first_layer(directory: str) -> None:
    """Make sure that a tree that was written over nothing can be a layer as it is.

    Raises:
        StepError: it has something that no layer can hold.
    """
    with Cursor(directory) as cursor:
        trail: list[bytes] = []
        scratch = os.path.dirname(directory)
        stack = [_check_members(cursor.fd, trail, scratch)]
        while stack:
            name = next(stack[-1], None)
            if name is not None:
                trail.append(name)
                cursor.down(name)
                stack.append(_check_members(cursor.fd, trail, scratch))
                continue
            stack.pop()
            if trail:
                trail.pop()
                cursor.up()


def _check_members(fd: int, trail: list[bytes], scratch: str) -> Iterator[bytes]:
    """Check what is in a directory and return the directories in it."""
    directories = Names(scratch)
    for name in sorted_names(fd, scratch):
        interrupt.check()
        found = _lstat(fd, name)
        if is_whiteout(found):
            raise _poses_as_whiteout(b"/" + b"/".join([*trail, name]))
        if stat.S_ISDIR(found.st_mode):
            directories.add(name)
    return directories.sorted()


@dataclass(slots=True)
class _Child:
    """A directory that is to be compared.

    Attributes:
        name: in the directory above it.
        number: among the directories in it.
        before: what was in it; None where all of it is new.
        changed: it is itself part of the layer, whatever is in it.
        opaque: something else was in its place.
    """

    name: bytes
    number: int
    before: Listed | None
    changed: bool = False
    opaque: bool = False


@dataclass(slots=True)
class _Level:
    """A directory that is being compared: where its new state is, and what is left to enter."""

    listed: Listed
    waiting: Iterator[_Child]


class _Comparison:
    def __init__(self, cursor: Cursor, upper: UpperDirectory, before: TreeRecord, now: TreeRecord) -> None:
        self._cursor = cursor
        self._upper = upper
        self._before = before
        self._now = now

    def run(self, before: Listed) -> Listed:
        """Depth first with a stack of our own: a tree may be deeper than Python's."""
        stack = [self._compare(before)]
        top = stack[0].listed
        while True:
            level = stack[-1]
            child = next(level.waiting, None)
            if child is not None:
                self._cursor.down(child.name)
                self._upper.down(child.name)
                if child.changed:
                    self._upper.directory(opaque=child.opaque)
                stack.append(self._compare(child.before))
                self._now.add_children(level.listed, child.number, stack[-1].listed)
                continue
            stack.pop()
            self._upper.up(self._cursor.fd)
            if not stack:
                return top
            self._cursor.up()

    def _compare(self, before: Listed | None) -> _Level:
        """Compare the current directory; `before` is None where everything in it is new."""
        now = self._now.add(self._cursor.fd)
        was = before or Listed()
        is_same = self._before.is_same(was, self._now, now)
        return _Level(now, self._unchanged(was) if is_same else self._changed(was, now))

    def _unchanged(self, before: Listed) -> Iterator[_Child]:
        """Yield what to enter in a directory of which nothing changed."""
        for name, member in self._before.directories(before):
            yield _Child(name, member.number, self._before.children(before, member.number))

    def _changed(self, before: Listed, now: Listed) -> Iterator[_Child]:
        """Write what is new, changed or gone in the current directory, and yield the directories in it.

        In byte order: files that are deferred are noted as a layer has its members.
        """
        for name, was, member in compare(self._before.members(before), self._now.members(now)):
            interrupt.check()
            if member is None:
                self._upper.whiteout(name)
            elif member.is_directory:
                stays = was is not None and was.same_inode(member) and was.is_directory
                listed = self._before.children(before, was.number) if was is not None and stays else None
                yield _Child(name, member.number, listed, was != member, was is not None and not stays)
            elif was != member:
                found = _lstat(self._cursor.fd, name)
                if is_whiteout(found):
                    raise _poses_as_whiteout(os.path.join(self._upper.path, name))
                self._upper.clone(self._cursor.fd, found, name, replaces=was is not None)


def _lstat(directory: int, name: bytes) -> os.stat_result:
    return os.stat(name, dir_fd=directory, follow_symlinks=False)


def _poses_as_whiteout(path: bytes) -> StepError:
    shown = path[:200].decode(errors="replace")
    return StepError(
        f"the step made {shown}, a character device 0:0, which in a layer says that a path is gone",
        hint="remove it in the same RUN",
    )
