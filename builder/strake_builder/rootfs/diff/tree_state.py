"""Remembers what a tree looked like, so that a later look shows what was changed in it.

For each path: device, inode, size, time of change (ctime), time of modification, mode and owner. Whatever a
process does to a file moves its ctime, and no process can set a ctime. The times of the other kind
are remembered for file systems that are careless with it.

A tree may have millions of files, so that what it looked like is in a file without a name, some 80 bytes for
each path: the members of a directory in byte order of their names, and after them where the members of each
directory among them are.
"""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import field
from types import TracebackType
from typing import Final, Self

from strake_builder import interrupt
from strake_builder.rootfs.files.cursor import Cursor
from strake_builder.rootfs.spill.names import sorted_names
from strake_oci.lazy_dataclass import dataclass

_RECORD: Final = struct.Struct("<QQqqqIII")
"""Device, inode, size, time of modification, ctime, mode, user, group."""
_MEMBER: Final = struct.Struct("<QQqqqIIIH")
"""The record, and the length of the name that follows."""
_LISTED: Final = struct.Struct("<QQQ")
_IDENTITY: Final = slice(0, 16)
_CTIME: Final = slice(32, 40)
_MODE: Final = slice(40, 44)
_LONGEST_WAIT: Final = 3.0
_WAIT_STEP: Final = 0.001
_MANY: Final = 4096
"""Members that are written at a time."""
_PIECE: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Listed:
    """Where in a record of a tree one directory is.

    Attributes:
        offset: of its first member, in bytes.
        size: bytes of all its members.
        directories: how many of them are directories.
    """

    offset: int = 0
    size: int = 0
    directories: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a directory as it was: equal to another if nothing was done to it.

    Attributes:
        record: what was known of it.
        number: of a directory, among those in the same directory.
    """

    record: bytes
    number: int = field(compare=False)

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(int.from_bytes(self.record[_MODE], "little"))

    def same_inode(self, other: Member) -> bool:
        """Say whether both are one and the same thing on disk, changed or not."""
        return self.record[_IDENTITY] == other.record[_IDENTITY]


class TreeRecord:
    """What directories looked like, in a file without a name. Close it.

    Args:
        scratch: a directory on disk, for the file.

    Attributes:
        newest: the latest ctime among all members, in nanoseconds.
    """

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        self._file = tempfile.TemporaryFile(dir=scratch, buffering=0)  # noqa: SIM115 - closed by close
        self._end = 0
        self.newest = 0

    def close(self) -> None:
        """Forget all."""
        self._file.close()

    def add(self, directory: int) -> Listed:
        """Write down what is in an open directory; what is below the directories in it is for `add_below`.

        Raises:
            OSError: it cannot be read, or the record cannot be written.
        """
        start, directories, members = self._end, 0, []
        for name in sorted_names(directory, self._scratch):
            interrupt.check()
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            self.newest = max(self.newest, found.st_ctime_ns)
            directories += stat.S_ISDIR(found.st_mode)
            members.append(_packed(found, name))
            if len(members) == _MANY:
                self._write(members)
                members = []
        self._write(members)
        listed = Listed(start, self._end - start, directories)
        self._end += directories * _LISTED.size
        return listed

    def _write(self, members: list[bytes]) -> None:
        data = memoryview(b"".join(members))
        while data:
            written = os.pwrite(self._file.fileno(), data, self._end)
            self._end += written
            data = data[written:]

    def add_children(self, listed: Listed, number: int, child: Listed) -> None:
        """Write down where the members of a directory are that is itself the member of another."""
        packed = _LISTED.pack(child.offset, child.size, child.directories)
        os.pwrite(self._file.fileno(), packed, listed.offset + listed.size + number * _LISTED.size)

    def children(self, listed: Listed, number: int) -> Listed:
        """Return where the members of a directory are, by its number among the directories of another."""
        at = listed.offset + listed.size + number * _LISTED.size
        return Listed(*_LISTED.unpack(self._read(at, _LISTED.size)))

    def members(self, listed: Listed) -> Iterator[tuple[bytes, Member]]:
        """Yield name and what was there, in byte order."""
        number, data = 0, b""
        for piece in self._pieces(listed):
            data, at = data + piece, 0
            while (start := at + _MEMBER.size) <= len(data):
                end = start + int.from_bytes(data[at + _RECORD.size : start], "little")
                if end > len(data):
                    break
                member = Member(data[at : at + _RECORD.size], number)
                number += member.is_directory
                yield data[start:end], member
                at = end
            data = data[at:]

    def rewrite(self, listed: Listed, name: bytes, found: os.stat_result) -> None:
        """Replace the ctime that is known of a member, if there is one of that name and else the same."""
        at, record = listed.offset, _packed(found, name)[: _RECORD.size]
        for member_name, member in self.members(listed):
            if member_name == name:
                if _without_ctime(member.record) == _without_ctime(record):
                    os.pwrite(self._file.fileno(), record, at)
                return
            at += _MEMBER.size + len(member_name)

    def directories(self, listed: Listed) -> Iterator[tuple[bytes, Member]]:
        """Yield the members that are directories."""
        if listed.directories:
            yield from (found for found in self.members(listed) if found[1].is_directory)

    def is_same(self, listed: Listed, other: TreeRecord, there: Listed) -> bool:
        """Say whether two directories have the same members, to which nothing was done."""
        return listed.size == there.size and all(
            one == two for one, two in zip(self._pieces(listed), other._pieces(there), strict=True)
        )

    def _pieces(self, listed: Listed) -> Iterator[bytes]:
        end = listed.offset + listed.size
        for at in range(listed.offset, end, _PIECE):
            yield self._read(at, min(_PIECE, end - at))

    def _read(self, at: int, size: int) -> bytes:
        return os.pread(self._file.fileno(), size, at)


def _without_ctime(record: bytes) -> bytes:
    return record[: _CTIME.start] + record[_CTIME.stop :]


def _packed(found: os.stat_result, name: bytes) -> bytes:
    return (
        _MEMBER.pack(
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
            found.st_mode,
            found.st_uid,
            found.st_gid,
            len(name),
        )
        + name
    )


Members = Iterator[tuple[bytes, Member]]


def compare(before: Members, now: Members) -> Iterator[tuple[bytes, Member | None, Member | None]]:
    """Yield each name of two states of a directory, with what it stood for in both; None for nothing."""
    nothing = (b"", None)
    (old_name, was), (new_name, found) = next(before, nothing), next(now, nothing)
    while was is not None or found is not None:
        if found is None or (was is not None and old_name < new_name):
            yield old_name, was, None
            old_name, was = next(before, nothing)
        elif was is None or new_name < old_name:
            yield new_name, None, found
            new_name, found = next(now, nothing)
        else:
            yield new_name, was, found
            old_name, was = next(before, nothing)
            new_name, found = next(now, nothing)


@dataclass(frozen=True, slots=True)
class TreeState:
    """What a tree looked like. Close it, or use it as a context.

    Attributes:
        record: of its directories.
        top: its outermost directory.
    """

    record: TreeRecord
    top: Listed

    def close(self) -> None:
        """Forget it."""
        self.record.close()

    def adopt(self, root: str, path: bytes) -> None:
        """Take what is at a path now for what was there: its ctime has moved, and nothing else.

        Args:
            root: the tree.
            path: relative to it; what is not there, or was not, is left alone.
        """
        *parents, name = path.split(b"/")
        listed = self.top
        for parent in parents:
            numbers = (m.number for found, m in self.record.directories(listed) if found == parent)
            number = next(numbers, None)
            if number is None:
                return
            listed = self.record.children(listed, number)
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(os.path.join(os.fsencode(root), path), follow_symlinks=False)
            self.record.rewrite(listed, name, found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def record_tree(root: str, scratch: str) -> TreeState:
    """Remember what is in a tree that nobody changes meanwhile.

    Args:
        root: the tree.
        scratch: a directory on disk, for the record.
    """
    record = TreeRecord(scratch)
    try:
        with Cursor(root) as cursor:
            top = record.add(cursor.fd)
            stack = [(top, record.directories(top))]
            while stack:
                listed, directories = stack[-1]
                name, member = next(directories, (None, None))
                if name is None or member is None:
                    stack.pop()
                    if stack:
                        cursor.up()
                    continue
                cursor.down(name)
                child = record.add(cursor.fd)
                record.add_children(listed, member.number, child)
                stack.append((child, record.directories(child)))
    except BaseException:
        record.close()
        raise
    return TreeState(record, top)


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
            interrupt.check()
            sleep(_WAIT_STEP)
            waited += _WAIT_STEP
    finally:
        os.close(fd)
        os.unlink(path)


def _touched(fd: int) -> int:
    os.utime(fd)
    return os.fstat(fd).st_ctime_ns
