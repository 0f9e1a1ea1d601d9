"""Moves the content of one open file: inside the kernel where it can, piece by piece where it cannot."""

from __future__ import annotations

import errno
import os
from typing import Final

_COPY_MAX: Final = 1 << 30
_CHUNK: Final = 1 << 20
_NO_REFLINK: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY, errno.EPERM}
_COPIED_XATTRS: Final = ("security.capability", "user.")
_FOREIGN_XATTRS: Final = "user.overlay."


def copy_content(reader: int, writer: int, size: int) -> None:
    """Copy inside the kernel, which shares the blocks where the file system can."""
    copied = 0
    try:
        while copied < size and (step := os.copy_file_range(reader, writer, min(_COPY_MAX, size - copied))):
            copied += step
    except OSError as error:
        if copied or error.errno not in _NO_REFLINK:
            raise
    if copied < size or not size:  # not possible between these file systems, or one that tells no sizes
        while data := os.read(reader, _CHUNK):
            write_all(writer, data)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however few the kernel takes at a time."""
    while (written := os.write(fd, data)) < len(data):
        data = data[written:]


def copy_xattrs(source: bytes, target: bytes) -> None:
    """Copy the extended attributes that belong to a file's content: capabilities and the user's own.

    Args:
        source: a path, the links in which are followed (such as /proc/self/fd/N).
        target: likewise.
    """
    for name, value in content_xattrs(source).items():
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            if error.errno not in {errno.ENOTSUP, errno.EPERM}:
                raise


def content_xattrs(path: bytes) -> dict[str, bytes]:
    """Return the extended attributes that belong to a file's content; links in the path are followed."""
    try:
        names = os.listxattr(path)
    except OSError:
        return {}
    return {
        name: os.getxattr(path, name)
        for name in names
        if name.startswith(_COPIED_XATTRS) and not name.startswith(_FOREIGN_XATTRS)
    }
