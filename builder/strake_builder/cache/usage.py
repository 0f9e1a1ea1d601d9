"""Keeps a shared directory below a size: what was used longest ago goes first, what is in use stays.

Every object (a blob, an unpacked layer) has a file in `usage/`: its size is the content, its time of
change the last use, and a build that uses the object holds a shared lock on it. A build that prunes takes
the lock alone, or leaves the object. So any number of builds may use a directory, and a killed one
holds nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from typing import Final, Self

from strake_builder import interrupt
from strake_oci.lazy_dataclass import dataclass

_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_OLD: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class _Object:
    name: str
    size: int
    used: int


class Usage:
    """Who uses what of a cache directory. Thread-safe; a context that lets go of everything at its end.

    Args:
        directory: of the usage files; made where it is missing.
    """

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}

    def hold(self, name: str, size: int | None = None) -> None:
        """Say that an object is used until the context ends, so that nobody removes it.

        Hold first, then look whether the object is there.

        Args:
            name: of the object, a file name.
            size: in bytes, when it was made just now.
        """
        with self._lock:
            fd = self._held.get(name)
            if fd is None:
                fd = self._held[name] = self._take(name)
            if size is not None:
                os.ftruncate(fd, 0)
                os.pwrite(fd, str(size).encode(), 0)
            os.utime(fd)

    def _take(self, name: str) -> int:
        path = os.path.join(self._directory, name)
        while True:
            fd = os.open(path, _NEW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:
                return fd
            os.close(fd)  # it was removed between open and lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for fd in self._held.values():
                os.close(fd)
            self._held.clear()


def prune(directory: str, limit: int, remove: Callable[[str], None]) -> int:
    """Remove what was used longest ago until the rest is within a limit; return the bytes removed.

    A build that is stopped leaves the rest to the next one.

    Args:
        directory: of the usage files.
        limit: bytes of all objects together.
        remove: removes an object by name.
    """
    objects = _objects(directory)
    excess, removed = sum(each.size for each in objects) - limit, 0
    for each in sorted(objects, key=lambda o: o.used):
        if excess <= 0 or interrupt.is_stopped():
            break
        if _remove(directory, each.name, remove):
            excess -= each.size
            removed += each.size
    return removed


def _objects(directory: str) -> list[_Object]:
    objects = []
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError, ValueError):
                found = entry.stat(follow_symlinks=False)
                with open(entry.path, "rb") as file:
                    objects.append(_Object(entry.name, int(file.read(32) or b"0"), found.st_mtime_ns))
    return objects


def _remove(directory: str, name: str, remove: Callable[[str], None]) -> bool:
    path = os.path.join(directory, name)
    try:
        fd = os.open(path, _OLD)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(name)
        os.unlink(path)
    except OSError:  # in use, or not removable: the next build will try again
        return False
    finally:
        os.close(fd)
    return True
