"""Marks for paths that a layer takes away, in a layer that is a directory.

Overlay's mark is a character device 0:0, which an unprivileged user namespace may make, too. In a directory
that lies on an overlay itself, as the root of a container does, the kernel refuses that one. Then it is a
socket without permissions from the first second of 1970. No layer holds sockets, so that none is taken for a
file; a step that makes such a socket takes a path away that it could have removed as well.

Source: kernel Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
"""

from __future__ import annotations

import os
import stat
from typing import Final

_SECOND: Final = 1_000_000_000


def make_whiteout(name: bytes, directory: int) -> None:
    """Mark a name of an open directory, which has nothing of that name.

    Raises:
        OSError: the file system refuses both marks.
    """
    try:
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory)
    except PermissionError:
        os.mknod(name, stat.S_IFSOCK, dir_fd=directory)
        os.chmod(name, 0, dir_fd=directory)
        os.utime(name, ns=(_SECOND, _SECOND), dir_fd=directory, follow_symlinks=False)


def is_whiteout(found: os.stat_result) -> bool:
    """Say whether something is the mark for a path that a layer takes away."""
    if stat.S_ISSOCK(found.st_mode):
        return not stat.S_IMODE(found.st_mode) and found.st_mtime_ns == _SECOND
    return stat.S_ISCHR(found.st_mode) and not found.st_rdev
