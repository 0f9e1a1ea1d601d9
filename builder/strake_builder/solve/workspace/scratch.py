"""Directories that are gone when their maker is, however it ended.

A builder that was killed cannot tidy up after itself, and one that was stopped has little time. Beside every
such directory lies a file that is locked for as long as its maker lives, so that the next build in the same
place sees what is abandoned and removes it. The file comes before the directory and goes after it, so that
one who is killed while making or removing it leaves the file as well.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Final

from strake_builder import interrupt
from strake_builder.file_lock import try_lock
from strake_builder.rootfs.files.remove import remove_tree

_LOCK: Final = ".lock"
_HIDDEN: Final = "."
_NAME_SHOWN: Final = 20
_PATIENCE: Final = 1.0


class Scratch:
    """A directory that nobody else touches.

    Attributes:
        path: of it.
    """

    def __init__(self, path: str, lock: int) -> None:
        self.path = path
        self._lock = lock

    def keep_as(self, path: str) -> None:
        """Give it, with all that is in it, a name that others know.

        Raises:
            OSError: there is something of that name that is not empty, or the file system refused.
        """
        os.rename(self.path, path)

    def remove(self, patience: float = _PATIENCE) -> bool:
        """Remove it, unless it was kept, and let go of it; say whether it is gone.

        Args:
            patience: seconds for it after the build was stopped; what is left then is abandoned.
        """
        gone = not os.path.lexists(self.path) or remove_tree(self.path, patience=patience, is_own=True)
        if gone:
            os.unlink(self.path + _LOCK)
        os.close(self._lock)
        return gone


def make_scratch(parent: str, prefix: str) -> Scratch:
    """Make a directory that only the caller's user may enter.

    Args:
        parent: where to make it.
        prefix: of its name, by which `remove_abandoned` knows it.

    Raises:
        OSError: the file system refused.
    """
    while True:
        fd, lock = tempfile.mkstemp(_LOCK, prefix, parent)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if _is_at(lock, fd):  # another build may have taken it for abandoned before it was locked
            path = lock.removesuffix(_LOCK)
            os.mkdir(path, 0o700)
            return Scratch(path, fd)
        os.close(fd)


def remove_abandoned(
    parent: str, prefix: str = _HIDDEN, before: Callable[[str], None] = lambda _: None
) -> None:
    """Remove directories whose maker is gone: their locks can be had.

    Args:
        parent: where they are.
        prefix: of their names.
        before: called with the path of each before it is removed.

    Raises:
        OSError: the directory cannot be read.
        Exception: it is to stop; see `interrupt`.
    """
    with os.scandir(parent) as entries:
        locks = [e.path for e in entries if e.name.startswith(prefix) and e.name.endswith(_LOCK)]
    for lock in locks:
        try:
            fd = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # it went this very moment, or is somebody else's
        try:
            if try_lock(fd) and _is_at(lock, fd) and os.fstat(fd).st_uid == os.geteuid():
                if not _remove_own(lock.removesuffix(_LOCK), before):
                    interrupt.check()
                    continue
                os.unlink(lock)
        finally:
            os.close(fd)


def _remove_own(path: str, before: Callable[[str], None]) -> bool:
    """Remove an abandoned directory, unless somebody else made what looks like one; say whether it is gone.

    Nobody else can replace a directory of the caller's in a work directory, so what is checked is what is
    removed.
    """
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return True
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return True
    before(path)
    return remove_tree(path)


@contextlib.contextmanager
def scratch_directory(parent: str, name: str) -> Iterator[Scratch]:
    """Make a directory, with a name that is hidden, which is removed when the context ends.

    Args:
        parent: where to make it.
        name: what it is for, to be seen by people.

    Raises:
        OSError: the file system refused.
    """
    scratch = make_scratch(parent, f"{_HIDDEN}{name[:_NAME_SHOWN]}-")
    try:
        yield scratch
    finally:
        scratch.remove()


def remove_at_once(path: str) -> None:
    """Remove a directory that other builds know: at no time is there a part of it under its name.

    Raises:
        OSError: it is not there, or the file system refused.
    """
    parent, name = os.path.split(path)
    try:
        with scratch_directory(parent, name) as scratch:
            os.rename(path, os.path.join(scratch.path, name))
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        remove_tree(path, patience=math.inf)  # a full disk must not keep this from making room


def _is_at(path: str, fd: int) -> bool:
    """Say whether an open file is what a path leads to."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False
