"""Makes single members of an archive on disk, in an open directory, where nothing is."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from typing import Final

from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import MalformedLayerError, shown
from strake_builder.layers.tar_reader import Content
from strake_builder.rootfs.files.attributes import set_attribute
from strake_builder.rootfs.files.file_content import write_all
from strake_builder.rootfs.files.owner import set_owner
from strake_builder.rootfs.files.path_walk import ResolvedPath
from strake_builder.rootfs.stack.lower_layers import read_xattrs

_FOREIGN_XATTRS: Final = (b"user.overlay.", b"trusted.overlay.")
_NOT_ALLOWED: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES}
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SECOND: Final = 1_000_000_000
_ID_MAX: Final = (1 << 32) - 2
"""The number after it means nobody to chown(2)."""
_TIME_MAX: Final = (1 << 63) - 1


def check_numbers(entry: Entry) -> None:
    """Refuse an entry with a number that the system cannot take.

    Raises:
        MalformedLayerError: a user, a group or a time is out of range.
    """
    if max(entry.uid, entry.gid) > _ID_MAX or entry.mtime > _TIME_MAX:
        numbers = f"the user {entry.uid}, the group {entry.gid} and the time {entry.mtime}"
        raise MalformedLayerError(f"{shown(entry.path)} has {numbers}, one of which no system has")


def make_file(location: ResolvedPath, entry: Entry, content: Content) -> None:
    """Write a regular file with its metadata.

    Raises:
        MalformedLayerError: its content ends early.
        OSError: as the system calls.
    """
    fd = os.open(location.name, _CREATE, entry.mode & 0o777, dir_fd=location.directory)
    try:
        if content.extents is None:
            while data := content.read():
                write_all(fd, data)
        else:
            _write_sparse(fd, entry, content)
        found = os.fstat(fd)  # mostly it has what it needs, and a change is a transaction of the file system
        if (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
            set_owner(fd, (entry.uid, entry.gid), entry.path)
        if stat.S_IMODE(found.st_mode) != entry.mode:
            os.fchmod(fd, entry.mode)
        if entry.xattrs:
            set_xattrs(b"/proc/self/fd/%d" % fd, entry.xattrs, follow=True)
        os.utime(fd, ns=(entry.mtime * _SECOND, entry.mtime * _SECOND))
    finally:
        os.close(fd)


def make_device(location: ResolvedPath, entry: Entry) -> bool:
    """Make a device node; return whether this process may, which inside a user namespace nobody may."""
    kind = stat.S_IFCHR if entry.type is EntryType.CHAR_DEVICE else stat.S_IFBLK
    try:
        os.mknod(location.name, kind | entry.mode, os.makedev(*entry.device), dir_fd=location.directory)
    except PermissionError:
        return False
    return True


def set_metadata(location: ResolvedPath, entry: Entry) -> None:
    """Set owner, mode, attributes and time of what is neither a file nor a directory."""
    set_owner(location.name, (entry.uid, entry.gid), entry.path, location.directory)
    if entry.type is not EntryType.SYMLINK:
        os.chmod(location.name, entry.mode, dir_fd=location.directory)
    if entry.xattrs:
        set_xattrs(location.proc_path, entry.xattrs, follow=False)
    times = (entry.mtime * _SECOND, entry.mtime * _SECOND)
    os.utime(location.name, ns=times, dir_fd=location.directory, follow_symlinks=False)


def replace_xattrs(path: bytes, xattrs: Mapping[bytes, bytes]) -> None:
    """Set the attributes of a directory that has others, as `set_xattrs`, and remove those."""
    for name in read_xattrs(path):
        os.removexattr(path, name, follow_symlinks=False)
    set_xattrs(path, xattrs, follow=False)


def set_xattrs(path: bytes, xattrs: Mapping[bytes, bytes], *, follow: bool) -> None:
    """Set what this process may set; labels of other systems and overlay's own are left out.

    A user namespace cannot hold `trusted.*`, and a file system may hold none at all: image tools
    agree to go on without them, since the layer itself still has them.
    """
    for name, value in xattrs.items():
        if name.startswith(_FOREIGN_XATTRS):
            continue
        try:
            set_attribute(path, name, value, follow=follow)
        except OSError as error:
            if error.errno not in _NOT_ALLOWED:
                raise


def _write_sparse(fd: int, entry: Entry, content: Content) -> None:
    os.ftruncate(fd, entry.size)
    for extent in content.extents or ():
        os.lseek(fd, extent.offset, os.SEEK_SET)
        left = extent.size
        while left:
            data = content.read(left)
            if not data:
                raise MalformedLayerError(f"{shown(entry.path)} ends before its sparse map does")
            write_all(fd, data)
            left -= len(data)
