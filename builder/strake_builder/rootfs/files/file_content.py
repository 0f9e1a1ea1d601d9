"""Moves the content of one open file: inside the kernel where it can, piece by piece where it cannot."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Final

from strake_builder import interrupt
from strake_builder.rootfs.files.attributes import set_attribute

_CHUNK: Final = 1 << 20
_BLOCK: Final = 512
"""Bytes of what `st_blocks` counts."""
_NO_REFLINK: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ETXTBSY, errno.EPERM}
_COPIED_XATTRS: Final = ("security.capability", "user.")
_FOREIGN_XATTRS: Final = "user.overlay."


def copy_content(reader: int, writer: int, size: int) -> None:
    """Copy inside the kernel, which shares the blocks where the file system can; holes stay holes.

    Args:
        reader: the file, at its start.
        writer: an empty file.
        size: bytes that the file says it has; a file of zero bytes is read to its end all the same, since
            some file systems tell no sizes.
    """
    if not size:
        while data := os.read(reader, _CHUNK):
            interrupt.check()
            write_all(writer, data)
        return
    if os.fstat(reader).st_blocks * _BLOCK >= size:
        _copy_run(reader, writer, size)
        return
    for start, end in _runs_of_data(reader, size):
        os.lseek(reader, start, os.SEEK_SET)
        os.lseek(writer, start, os.SEEK_SET)
        _copy_run(reader, writer, end - start)
    os.ftruncate(writer, size)


def _runs_of_data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of what is no hole; a file system that knows no holes has one run."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return  # nothing but a hole up to the end
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def _copy_run(reader: int, writer: int, size: int) -> None:
    copied = 0
    try:
        while copied < size:
            interrupt.check()
            step = os.copy_file_range(reader, writer, min(interrupt.PIECE, size - copied))
            if not step:
                break
            copied += step
    except OSError as error:
        if copied or error.errno not in _NO_REFLINK:
            raise
    while copied < size and (data := os.read(reader, min(_CHUNK, size - copied))):
        interrupt.check()
        write_all(writer, data)  # not possible inside the kernel between these file systems
        copied += len(data)


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
            set_attribute(target, name, value)
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
