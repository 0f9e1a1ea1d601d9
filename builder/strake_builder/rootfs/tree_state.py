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
"""Device, inode, size, time of modification, ctime, mode, user, group."""
_IDENTITY: Final = slice(0, 16)
_MODE: Final = slice(40, 44)
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

    def __iter__(self) -> Iterator[tuple[bytes, Member]]:
        """Yield name and what was there, in byte order."""
        size = _RECORD.size
        for number, name in enumerate(self.names.split(_SEPARATOR) if self.names else ()):
            yield name, Member(self.records[number * size : (number + 1) * size])

    def directories(self) -> list[bytes]:
        """Return the names of the directories that were there."""
        return [name for name, member in self if member.is_directory]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a directory as it was: equal to another if nothing was done to it."""

    record: bytes

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self._mode)

    @property
    def is_character_device(self) -> bool:
        """Whether it is a character device."""
        return stat.S_ISCHR(self._mode)

    @property
    def _mode(self) -> int:
        return int.from_bytes(self.record[_MODE], "little")

    def same_inode(self, other: Member) -> bool:
        """Say whether both are one and the same thing on disk, changed or not."""
        return self.record[_IDENTITY] == other.record[_IDENTITY]


def compare(
    before: DirectoryState, now: DirectoryState
) -> Iterator[tuple[bytes, Member | None, Member | None]]:
    """Yield each name of two states of a directory, with what it stood for in both; None for nothing."""
    nothing = (b"", None)
    old, new = iter(before), iter(now)
    (old_name, was), (new_name, found) = next(old, nothing), next(new, nothing)
    while was is not None or found is not None:
        if found is None or (was is not None and old_name < new_name):
            yield old_name, was, None
            old_name, was = next(old, nothing)
        elif was is None or new_name < old_name:
            yield new_name, None, found
            new_name, found = next(new, nothing)
        else:
            yield new_name, was, found
            old_name, was = next(old, nothing)
            new_name, found = next(new, nothing)


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory as it is.

    Attributes:
        state: what is in it, to be remembered; nothing below it yet.
        newest: the latest ctime among its members, in nanoseconds.
    """

    state: DirectoryState
    newest: int


def list_directory(fd: int) -> Listing:
    """Read an open directory."""
    newest = 0
    members: list[tuple[bytes, bytes]] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            newest = max(newest, found.st_ctime_ns)
            members.append((os.fsencode(entry.name), _record(found)))
    members.sort()
    names = _SEPARATOR.join([name for name, _ in members])
    return Listing(DirectoryState(names, b"".join([record for _, record in members])), newest)


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
        stack = [(top, top.directories())]
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
            stack.append((listing.state, listing.state.directories()))
    return TreeState(top, newest)


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
