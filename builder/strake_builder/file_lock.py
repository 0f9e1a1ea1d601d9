"""Waits for the lock of a file that another process may hold for minutes, so that a stop ends the waiting.

flock(2) tells nobody when a lock is free, and blocks where no signal of Python's gets through: it is asked
for again and again. It keeps threads of one process apart as well, and ends with the process at the latest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from typing import Final

from strake_builder import interrupt

_BETWEEN_SECONDS: Final = 0.02
_UNNOTICED_SECONDS: Final = 1.0


@contextlib.contextmanager
def locked_file(path: str, waits: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file, which is made if missing, for the time of the context.

    Args:
        path: of the file.
        waits: called once when the lock is not to be had within a second.

    Raises:
        OSError: the file cannot be opened.
        Exception: this thread's work is to stop; see `interrupt`.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        since, is_told = time.monotonic(), False
        while not try_lock(fd):
            interrupt.check()
            if not is_told and time.monotonic() > since + _UNNOTICED_SECONDS:
                is_told = True
                waits()
            time.sleep(_BETWEEN_SECONDS)  # flock(2) tells nobody when a lock is free
        yield
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    """Lock an open file unless somebody else has its lock; return whether it is locked."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
