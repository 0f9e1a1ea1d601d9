"""What is under one name, without following a link."""

from __future__ import annotations

import os
from typing import Final

OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a directory of an untrusted tree is opened: a link that has taken its name since is refused."""


def stat_at(directory: int, name: bytes) -> os.stat_result | None:
    """Return what an open directory has under a name, or None if there is nothing.

    Raises:
        OSError: The file system refused.
    """
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def lstat_or_none(path: bytes) -> os.stat_result | None:
    """Return what is at a path, or None if it cannot be reached, for whatever reason."""
    try:
        return os.lstat(path)
    except OSError:
        return None
