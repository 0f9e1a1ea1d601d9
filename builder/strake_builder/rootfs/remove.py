"""Removes trees that a stranger made: any depth, any name, links not followed."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import Final

_FEW: Final = 200


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
        remove_tree(b"/proc/self/fd/%d/%s" % (directory, name), pass_fds=(directory,))


def remove_tree(path: str | bytes, pass_fds: tuple[int, ...] = ()) -> None:
    """Remove a tree of any depth, without crossing into other file systems.

    `shutil.rmtree` recurses and gives up on trees that are deeper than Python's stack; a RUN step
    makes such a tree in one line.
    """
    name = os.fsencode(path)
    if _remove_few(name):
        return
    subprocess.run(
        [b"rm", b"-rf", b"--one-file-system", b"--", name],
        check=False,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
    )


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
