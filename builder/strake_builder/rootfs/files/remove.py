"""Removes untrusted trees: any depth, any name, links not followed."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import time
from typing import Final

from strake_builder import interrupt

_FEW: Final = 200
_LOOK: Final = 100
"""Milliseconds between two looks whether the build was stopped."""
_PATIENCE: Final = 1.0


def remove_entry(directory: int, name: bytes) -> None:
    """Remove what a name in an open directory stands for, a whole tree if it is one."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=directory)
        return
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError:
        if not remove_tree(b"/proc/self/fd/%d/%s" % (directory, name), pass_fds=(directory,)):
            interrupt.check()


def remove_tree(path: str | bytes, pass_fds: tuple[int, ...] = (), *, patience: float = _PATIENCE) -> bool:
    """Remove a tree of any depth, without crossing into other file systems.

    `shutil.rmtree` recurses and gives up on trees that are deeper than Python's stack; a RUN step
    makes such a tree in one line.

    Args:
        path: of the tree.
        pass_fds: descriptors that the path goes through.
        patience: seconds that this may go on after the thread's work was stopped; what is left then stays.

    Returns:
        Whether it was carried to its end.
    """
    name = os.fsencode(path)
    if _remove_few(name):
        return True
    with subprocess.Popen(
        [b"rm", b"-rf", b"--one-file-system", b"--", name],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
    ) as rm:
        ended = _await_end(rm.pid, patience)
        if not ended:
            rm.kill()
    return ended


def _await_end(process: int, patience: float) -> bool:
    fd = os.pidfd_open(process)
    try:
        ready, until = select.poll(), None
        ready.register(fd, select.POLLIN)
        while not ready.poll(_LOOK):
            if until is None and interrupt.is_stopped():
                until = time.monotonic() + patience
            if until is not None and time.monotonic() >= until:
                return False
    finally:
        os.close(fd)
    return True


def _remove_few(path: bytes) -> bool:
    """Remove a tree of few entries, sooner than a program is started; say whether it is gone."""
    directories = [path]
    others: list[bytes] = []
    try:
        tree = os.lstat(path)
        if not stat.S_ISDIR(tree.st_mode):
            return False
        for directory in directories:  # it grows meanwhile
            with os.scandir(directory) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    if found.st_dev != tree.st_dev or len(directories) + len(others) > _FEW:
                        return False
                    (directories if stat.S_ISDIR(found.st_mode) else others).append(entry.path)
        for other in others:
            os.unlink(other)
        for directory in reversed(directories):
            os.rmdir(directory)
    except OSError:
        return False
    return True
