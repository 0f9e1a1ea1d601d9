"""Sets extended attributes, and says which one a file system does not take.

Most file systems bound them far lower than the kernel's 64 KiB a value: ext4 has one block of 4 KiB for all
attributes of a file. It and btrfs say then that no space is left on the device, of which there may be plenty.
"""

from __future__ import annotations

import errno
import os
from typing import Final

_ROOM: Final = 1 << 20
"""Bytes: a file system with so much left is not full."""
_TOO_LARGE: Final = {errno.E2BIG, errno.ERANGE}
_SHOWN: Final = 100


def set_attribute(target: int | bytes, name: str | bytes, value: bytes, *, follow: bool = True) -> None:
    """Set an extended attribute.

    Args:
        target: an open file, or a path.
        name: with its namespace.
        value: anything.
        follow: whether the attribute is that of the file that a link as the path's last component leads to.

    Raises:
        OSError: E2BIG where the file system takes no attribute so large. Otherwise as setxattr(2); its text
            names the attribute and the file.
    """
    try:
        os.setxattr(target, name, value, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.EDQUOT or (error.errno == errno.ENOSPC and _is_full(target, follow=follow)):
            raise
        attribute = f"the extended attribute {_text(name)} of {_file_name(target, follow=follow)}"
        if error.errno in _TOO_LARGE | {errno.ENOSPC}:
            size = f"{len(value):,} bytes"
            text = f"{attribute} ({size}) is larger than the file system of the work directory takes"
            raise OSError(errno.E2BIG, text) from error
        raise OSError(error.errno, f"{attribute} cannot be set: {error.strerror}") from error


def _is_full(target: int | bytes, *, follow: bool) -> bool:
    found = os.statvfs(target if follow or isinstance(target, int) else os.path.dirname(target))
    return found.f_bavail * found.f_frsize < _ROOM or (found.f_files > 0 and not found.f_favail)


def _file_name(target: int | bytes, *, follow: bool) -> str:
    path = b"/proc/self/fd/%d" % target if isinstance(target, int) else target
    if follow and os.path.islink(path):  # such as those to open files
        path = os.readlink(path)
    return _text(os.path.basename(path))


def _text(name: str | bytes) -> str:
    return repr(os.fsdecode(name)[:_SHOWN])
