"""Remembers what a tree looked like, so that a later look shows what was changed in it.

For each path: device, inode, size, time of change (ctime), time of modification, mode and owner. Whatever a
process does to a file moves its ctime, and no process can set a ctime. The times of the other kind
are remembered for file systems that are careless with it.

A tree of 200,000 files takes some 20 MB: names and records of a directory are one byte string each.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from strake_builder.rootfs.cursor import Cursor

_RECORD: Final = struct.Struct("<QQqqqIII")
_CTIME_AT: Final = 4
_MODE_AT: Final = 5
_LONGEST_WAIT: Final = 3.0
_WAIT_STEP: Final = 0.001
_SEPARATOR: Final = b"/"


@dataclass(slots=True)
class DirectoryState:
    """What was in one directory.

    Attributes:
        names: of its members, in byte order, separated by slashes.
        records: one for each name.
        below: the state of each directory in it.
    """

    names: bytes = b""
    records: bytes = b""
    below: dict[bytes, DirectoryState] = field(default_factory=dict)

    def members(self) -> dict[bytes, Member]:
        """Return what was there, by name."""
        if not self.names:
            return {}
        names = self.names.split(_SEPARATOR)
        return dict(zip(names, map(Member, self._each_record()), strict=True))

    def _each_record(self) -> Iterator[bytes]:
        size = _RECORD.size
        return (self.records[at : at + size] for at in range(0, len(self.records), size))


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a directory as it was: equal to another if nothing was done to it."""

    record: bytes

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(_RECORD.unpack(self.record)[_MODE_AT])

    def same_inode(self, other: Member) -> bool:
        """Say whether both are one and the same thing on disk, changed or not."""
        return self.record[:16] == other.record[:16]


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory as it is.

    Attributes:
        members: name and what it is, in byte order.
        state: the same, to be remembered; nothing below it yet.
        newest: the latest ctime among them, in nanoseconds.
    """

    members: list[tuple[bytes, os.stat_result]]
    state: DirectoryState
    newest: int


def list_directory(fd: int) -> Listing:
    """Read an open directory."""
    with os.scandir(fd) as entries:
        members = sorted((os.fsencode(e.name), e.stat(follow_symlinks=False)) for e in entries)
    newest = max((found.st_ctime_ns for _, found in members), default=0)
    state = DirectoryState(
        _SEPARATOR.join([name for name, _ in members]), b"".join([_record(found) for _, found in members])
    )
    return Listing(members, state, newest)


def _record(found: os.stat_result) -> bytes:
    return _RECORD.pack(
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_mode,
        found.st_uid,
        found.st_gid,
    )


@dataclass(frozen=True, slots=True)
class TreeState:
    """What a tree looked like.

    Attributes:
        top: its outermost directory.
        newest: the latest ctime in it, in nanoseconds.
    """

    top: DirectoryState
    newest: int


def record_tree(root: str) -> TreeState:
    """Remember what is in a tree that nobody changes meanwhile."""
    with Cursor(root) as cursor:
        listing = list_directory(cursor.fd)
        top, newest = listing.state, listing.newest
        stack = [(top, _directories(listing))]
        while stack:
            state, names = stack[-1]
            if not names:
                stack.pop()
                if stack:
                    cursor.up()
                continue
            name = names.pop()
            cursor.down(name)
            listing = list_directory(cursor.fd)
            newest = max(newest, listing.newest)
            state.below[name] = listing.state
            stack.append((listing.state, _directories(listing)))
    return TreeState(top, newest)


def _directories(listing: Listing) -> list[bytes]:
    return [name for name, found in listing.members if stat.S_ISDIR(found.st_mode)]


def await_later_times(directory: str, ctime_ns: int, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when whatever is changed from now on gets a later ctime than the one given.

    The kernel hands out times in steps of up to 10 ms (older file systems: of a second), so that a file
    that is changed twice within one step has the same time twice. The clock asked is the file
    system's own: that of a file in it. A clock that was set back is not waited for: the times
    that it gives then differ too.

    Args:
        directory: on the same file system.
        ctime_ns: latest time of change seen, in nanoseconds.
        sleep: waits so many seconds.
    """
    path = os.path.join(directory, "clock")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        waited = 0.0
        while _touched(fd) <= ctime_ns and waited < _LONGEST_WAIT:
            sleep(_WAIT_STEP)
            waited += _WAIT_STEP
    finally:
        os.close(fd)
        os.unlink(path)


def _touched(fd: int) -> int:
    os.utime(fd)
    return os.fstat(fd).st_ctime_ns
