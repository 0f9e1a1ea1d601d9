"""Removes untrusted trees: any depth, any name, links not followed."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import stat
import subprocess
import time
from typing import Final

from strake_builder import interrupt

_FEW: Final = 200
_MOST: Final = 64
"""Directories of a level that are shared out: their paths are far from what an exec takes."""
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


def remove_tree(
    path: str | bytes,
    pass_fds: tuple[int, ...] = (),
    *,
    patience: float = _PATIENCE,
    is_own: bool = False,
) -> bool:
    """Remove a tree of any depth, without crossing into other file systems.

    `shutil.rmtree` recurses and gives up on trees that are deeper than Python's stack; a RUN step
    makes such a tree in one line.

    Args:
        path: of the tree.
        pass_fds: descriptors that the path goes through.
        patience: seconds that this may go on after the thread's work was stopped; what is left then stays.
        is_own: nobody else can change the two outermost levels meanwhile: several processors share the work.

    Returns:
        Whether it was carried to its end.
    """
    name = os.fsencode(path)
    if _remove_few(name):
        return True
    halves = _halves(name) if is_own else []
    return all(_removed(shares, pass_fds, patience) for shares in (halves, [[name]]) if shares)


def _halves(tree: bytes) -> list[list[bytes]]:
    """Return the directories two levels into a tree in two shares, none where there is one processor.

    What is mounted there is left out: `rm` crosses into a file system that it is given the root of.
    """
    if len(os.sched_getaffinity(0)) == 1:
        return []
    try:
        found = os.lstat(tree)
    except FileNotFoundError:
        return []
    device = found.st_dev
    outer = _directories(tree, device) if stat.S_ISDIR(found.st_mode) else []
    inner = [path for each in outer[:_MOST] for path in _directories(each, device)][:_MOST]
    return [inner[::2], inner[1::2]] if len(inner) > 1 else []


def _directories(path: bytes, device: int) -> list[bytes]:
    try:
        with os.scandir(path) as entries:
            few = itertools.islice(entries, _MOST)
            return [e.path for e in few if _is_directory(e.stat(follow_symlinks=False), device)]
    except OSError:  # `rm` gets there by its own way
        return []


def _is_directory(found: os.stat_result, device: int) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_dev == device


def _removed(shares: list[list[bytes]], pass_fds: tuple[int, ...], patience: float) -> bool:
    """Remove trees, each share by a program of its own; say whether all came to their end."""
    with contextlib.ExitStack() as running:
        programs = [running.enter_context(start_removal(paths, pass_fds)) for paths in shares]
        ended = _await_end([rm.pid for rm in programs], patience)
        if not ended:
            for rm in programs:
                rm.kill()
    return ended


def start_removal(paths: list[bytes], pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a program that removes trees, without crossing into other file systems, and says nothing.

    Args:
        paths: of the trees, few enough for an exec.
        pass_fds: descriptors that the paths go through.
    """
    return subprocess.Popen(
        [b"rm", b"-rf", b"--one-file-system", b"--", *paths],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
    )


def _await_end(processes: list[int], patience: float) -> bool:
    with contextlib.ExitStack() as opened:
        ready, until = select.poll(), None
        for process in processes:
            fd = os.pidfd_open(process)
            opened.callback(os.close, fd)
            ready.register(fd, select.POLLIN)
        left = len(processes)
        while left:
            for fd, _ in ready.poll(_LOOK):
                ready.unregister(fd)
                left -= 1
            if until is None and interrupt.is_stopped():
                until = time.monotonic() + patience
            if left and until is not None and time.monotonic() >= until:
                return False
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
