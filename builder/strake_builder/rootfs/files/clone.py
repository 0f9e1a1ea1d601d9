"""Makes one thing on disk again elsewhere, with all that a step could see of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from strake_builder.rootfs.files.attributes import set_attribute
from strake_builder.rootfs.files.file_content import copy_content
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.spill.disk_map import DiskMap, identity

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_THE_SYSTEMS: Final = (
    "user.overlay.",
    "trusted.overlay.",
    "security.selinux",
    "security.ima",
    "security.evm",
)
_NOT_ALLOWED: Final = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES}


class Cloner:
    """Clones what is no directory into a tree, names of one file as names of one file.

    Hard links are kept among what one cloner clones.

    Args:
        root: the tree that is cloned into.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._linked = DiskMap(root.beside)

    def close(self) -> None:
        """Forget which names a file has."""
        self._linked.close()

    def clone(
        self, source: int, name: bytes, found: os.stat_result, target: int, trail: Sequence[bytes]
    ) -> None:
        """Clone one thing under its own name; nothing is in its place.

        Args:
            source: the open directory that has it.
            name: its name.
            found: what it is.
            target: the open directory that gets it.
            trail: the names of the directories that lead to `target` in the tree cloned into.

        Raises:
            OSError: the file system refused.
        """
        if found.st_nlink > 1:
            path = b"/".join([*trail, name])
            first = self._linked.setdefault(identity(found), path)
            if first != path:
                with self._root.at(first, follow=False) as location:
                    os.link(
                        location.name,
                        name,
                        src_dir_fd=location.directory,
                        dst_dir_fd=target,
                        follow_symlinks=False,
                    )
                return
        clone_apart(source, name, found, target)


def clone_apart(source: int, name: bytes, found: os.stat_result, target: int) -> None:
    """Clone one thing as a file of its own, whatever other names it has; as `Cloner.clone`."""
    if stat.S_ISREG(found.st_mode):
        _regular(source, name, found, target)
    else:
        _special(source, name, found, target)


def clone_directory_metadata(source: int, target: int) -> None:
    """Give an open directory, whose content is complete, the owner, mode, attributes and time of another."""
    found = os.fstat(source)
    os.fchown(target, found.st_uid, found.st_gid)
    for name in attribute_names(target):
        os.removexattr(target, name)
    _clone_xattrs(source, target)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))


def _regular(source: int, name: bytes, found: os.stat_result, target: int) -> None:
    reader = os.open(name, _READ, dir_fd=source)
    try:
        writer = os.open(name, _CREATE, 0o600, dir_fd=target)
        try:
            copy_content(reader, writer, found.st_size)
            os.fchown(writer, found.st_uid, found.st_gid)
            _clone_xattrs(reader, writer)
            os.fchmod(writer, stat.S_IMODE(found.st_mode))
            os.utime(writer, ns=(found.st_mtime_ns, found.st_mtime_ns))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _special(source: int, name: bytes, found: os.stat_result, target: int) -> None:
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=target)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    _clone_xattrs(b"/proc/self/fd/%d/%s" % (source, name), b"/proc/self/fd/%d/%s" % (target, name))
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target)
    os.utime(name, ns=(found.st_mtime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _clone_xattrs(source: int | bytes, target: int | bytes) -> None:
    """Copy extended attributes; from and to descriptors, or paths whose last component may be a link."""
    for name in attribute_names(source):
        try:
            if isinstance(source, int) and isinstance(target, int):
                set_attribute(target, name, os.getxattr(source, name))
            else:
                value = os.getxattr(source, name, follow_symlinks=False)
                set_attribute(target, name, value, follow=False)
        except OSError as error:
            if error.errno not in _NOT_ALLOWED:
                raise


def attribute_names(source: int | bytes) -> list[str]:
    """Return the names of extended attributes, but for the system's own labels.

    Args:
        source: a descriptor, or a path whose last component may be a link.
    """
    try:
        names = os.listxattr(source, follow_symlinks=isinstance(source, int))
    except OSError as error:
        if error.errno in _NOT_ALLOWED:
            return []
        raise
    return [name for name in names if not name.startswith(_THE_SYSTEMS)]
