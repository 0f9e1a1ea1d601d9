"""Remembers things by key in little memory: few in a dictionary, many in a file without a name.

Walks through trees must know some things again: that a file has another name, that a file was read before.
In most trees that is next to nothing; in one of a million hard links it would be hundreds of megabytes.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

IN_MEMORY: Final = 16_384
"""Keys. With short values they take some 4 MB."""
_IDENTITY: Final = struct.Struct("=QQ")
_PREPARED: Final = (
    "PRAGMA journal_mode = OFF",  # the file ends with the process, so nothing in it must survive one
    "PRAGMA synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA cache_size = -4096",
    "CREATE TABLE known (number INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)",
    "BEGIN",
)
_FULL: Final = 13
"""SQLITE_FULL: no room is left."""


def identity(found: os.stat_result) -> bytes:
    """Return a key that every name of a file has, and no other file."""
    return _IDENTITY.pack(found.st_dev, found.st_ino)


class DiskMap:
    """A mapping of bytes to bytes that keeps the order in which keys were added. For one thread at a time.

    Args:
        scratch: a directory on disk, for the file.
        in_memory: keys to hold in memory.
    """

    def __init__(self, scratch: str, in_memory: int = IN_MEMORY) -> None:
        self._scratch = scratch
        self._in_memory = in_memory
        self._few: dict[bytes, bytes] = {}
        self._many: sqlite3.Connection | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key, None where there is none.

        Raises:
            OSError: the file cannot be read.
        """
        if self._many is None:
            return self._few.get(key)
        row = self._execute("SELECT value FROM known WHERE key = ?", key).fetchone()
        return None if row is None else row[0]

    def setdefault(self, key: bytes, value: bytes) -> bytes:
        """Return the value of a key, which is the one given where there was none.

        Raises:
            OSError: the file cannot be written.
        """
        if self._many is None:
            if len(self._few) < self._in_memory:
                return self._few.setdefault(key, value)
            self._move()
        done = self._execute("INSERT OR IGNORE INTO known (key, value) VALUES (?, ?)", key, value)
        known = None if done.rowcount else self.get(key)
        return value if known is None else known

    def discard(self, key: bytes) -> None:
        """Forget a key, if it is there.

        Raises:
            OSError: the file cannot be written.
        """
        if self._many is None:
            self._few.pop(key, None)
        else:
            self._execute("DELETE FROM known WHERE key = ?", key)

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def __iter__(self) -> Iterator[bytes]:
        if self._many is None:
            yield from self._few
        else:
            yield from (key for (key,) in self._execute("SELECT key FROM known ORDER BY number"))

    def close(self) -> None:
        """Forget everything."""
        self._few.clear()
        if self._many is not None:
            self._many.close()
            self._many = None

    def _move(self) -> None:
        import sqlite3

        fd, path = tempfile.mkstemp(dir=self._scratch)
        os.close(fd)
        try:
            # The caller serializes threads.
            self._many = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for statement in _PREPARED:
                self._execute(statement)
        finally:
            os.unlink(path)
        for key, value in self._few.items():
            self._execute("INSERT INTO known (key, value) VALUES (?, ?)", key, value)
        self._few.clear()

    def _execute(self, statement: str, *values: bytes) -> sqlite3.Cursor:
        assert self._many is not None, "there is a file"  # noqa: S101 - narrows the type
        try:
            return self._many.execute(statement, values)
        except self._many.OperationalError as error:
            number = errno.ENOSPC if error.sqlite_errorcode == _FULL else errno.EIO
            raise OSError(number, os.strerror(number)) from error
