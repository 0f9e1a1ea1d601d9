"""The directory in which workspaces are made: nobody else may be able to put another one in its stead.

A user who can rename an entry of it, or of a directory above it, decides what a build of root's runs and
writes. So each of these directories belongs to the caller or to root, and nobody else can write to it, unless
the sticky bit keeps others from touching what is not theirs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from strake_builder.errors import InvalidRequestError

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_UID_MAP = Path("/proc/self/uid_map")
_EVERY_USER = 0xFFFF_FFFF
"""User numbers that a namespace can map."""


def prepare_work_directory(path: str) -> str:
    """Make a directory for workspaces where it is missing, and return it without links in its path.

    A volume of a pod belongs to the builder and can be written to by everybody; it gets the sticky bit.

    Raises:
        InvalidRequestError: somebody else could replace what is made in it.
        OSError: it cannot be made.
    """
    _make(path)
    real = os.path.realpath(path)
    trusted = {0, os.geteuid(), *_unmapped_owner()}
    for directory in _upwards(real):
        if os.path.ismount(directory):
            _keep_others_out(directory)
        _check(directory, os.stat(directory, follow_symlinks=False), path, trusted)
    return real


def _make(path: str) -> None:
    """Make a directory and what is missing above it, whatever the umask, for its owner to write alone."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        os.mkdir(directory, 0o755)


def _keep_others_out(volume: str) -> None:
    found = os.stat(volume)
    if found.st_uid == os.geteuid() and found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX:
        os.chmod(volume, stat.S_IMODE(found.st_mode) | stat.S_ISVTX)


def _upwards(path: str) -> Iterator[str]:
    while True:
        yield path
        parent = os.path.dirname(path)
        if parent == path:
            return
        path = parent


def _unmapped_owner() -> tuple[int, ...]:
    """Return the number that stands for every user without one in this user namespace, where there are any.

    The system's own directories belong to such a user there. Nobody of the namespace is that user, and what
    others could do from outside is checked by the modes.
    """
    mapped = sum(int(line.split()[2]) for line in _UID_MAP.read_text().splitlines())
    return () if mapped >= _EVERY_USER else (int(Path("/proc/sys/kernel/overflowuid").read_text()),)


def _check(directory: str, found: os.stat_result, asked: str, trusted: set[int]) -> None:
    hint = "choose another with --work-dir, which no other user can write to"
    if found.st_uid not in trusted:
        raise InvalidRequestError(
            f"the work directory {asked} is not safe: {directory} belongs to user {found.st_uid}", hint=hint
        )
    # A group that is named after its one user is no other user (Debian's and Fedora's umask of 002).
    others = stat.S_IWOTH if found.st_gid == found.st_uid else _OTHERS
    if found.st_mode & others and not found.st_mode & stat.S_ISVTX:
        raise InvalidRequestError(
            f"the work directory {asked} is not safe: other users can write to {directory}", hint=hint
        )
