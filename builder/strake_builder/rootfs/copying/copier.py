"""Copies one thing that is no directory, or what is in an open directory, however deep it is."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Final

from strake_builder import interrupt
from strake_builder.errors import StepError
from strake_builder.rootfs.copying.deferral import Deferral
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.file_content import copy_content, copy_xattrs
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY, stat_at
from strake_builder.rootfs.files.owner import set_owner
from strake_builder.rootfs.files.path_walk import ResolvedPath
from strake_builder.rootfs.spill.disk_map import DiskMap, identity
from strake_builder.rootfs.spill.names import sorted_names
from strake_oci.lazy_dataclass import dataclass

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class _Level:
    """A directory being copied: what is left of it, and both sides open.

    The copy of a directory that is not wanted for itself is made when something in it is: until
    then `target` is None. Nothing else is in a copy that `is_new`. One is among the changes of a step if
    anything is done to it: the outermost when a file was written into it, or, deferred, when it `is_touched`.
    """

    source: int
    prefix: bytes
    names: Iterator[bytes]
    found: os.stat_result | None = None
    name: bytes = b""
    parent: _Level | None = None
    target: int | None = None
    is_new: bool = False
    is_touched: bool = False


class Copier:
    """Copies one source. Close it.

    Args:
        options: see `CopyOptions`.
        scratch: a directory on disk, for what is noted.
        deferral: defers files; None where all are written.
    """

    def __init__(self, options: CopyOptions, scratch: str, deferral: Deferral | None = None) -> None:
        self._options = options
        self._scratch = scratch
        self._deferral = deferral
        self._linked = DiskMap(scratch)

    def close(self) -> None:
        """Forget what was noted."""
        self._linked.close()

    def one(self, origin: ResolvedPath, found: os.stat_result, location: ResolvedPath) -> None:
        """Copy one thing that is no directory to where a root has room for it."""
        deferral, directory = self._deferral, location.directory
        if deferral and deferral.takes(origin.directory, origin.name, found, b"", location.stat):
            _touch(directory)
        else:
            self._copy(origin.directory, origin.name, found, directory, location.name)

    def tree(self, source: int, target: int) -> None:
        """Copy the content of one open directory into another, however deep it is."""
        stack = [_Level(source, b"", self._names(source), target=target)]
        try:
            while stack:
                level = stack[-1]
                name = next(level.names, None)
                if name is not None:
                    child = self._member(level, name)
                    if child is not None:
                        stack.append(child)
                    continue
                stack.pop()
                if level.found is not None:
                    self._close(level, level.found)
        finally:
            for level in stack[1:]:
                os.close(level.source)
                if level.target is not None:
                    os.close(level.target)

    def _names(self, directory: int) -> Iterator[bytes]:
        return sorted_names(directory, self._scratch)

    def _close(self, level: _Level, found: os.stat_result) -> None:
        if level.target is not None:
            mtime = self._options.mtime_of(found)
            os.utime(level.target, ns=(mtime, mtime))
            os.close(level.target)
        os.close(level.source)

    def _member(self, level: _Level, name: bytes) -> _Level | None:
        """Copy one member of a directory; return the level below where it is a directory."""
        interrupt.check()
        options = self._options
        path = level.prefix + name
        found = os.stat(name, dir_fd=level.source, follow_symlinks=False)
        is_directory = stat.S_ISDIR(found.st_mode)
        kept = options.keeps(path, is_directory)
        if is_directory:
            if not kept and not options.enters(path):
                return None
            source = os.open(name, OPEN_DIRECTORY, dir_fd=level.source)
            child = _Level(source, path + b"/", self._names(source), found, name, level)
            if kept:
                self._target(child)
            return child
        if not kept or (options.leave_out and options.leave_out(found)):
            return None
        target = self._target(level)
        existing = None if level.is_new else stat_at(target, name)
        if existing is not None:
            if stat.S_ISDIR(existing.st_mode):
                raise StepError(f"cannot replace the directory {shown(path)} by a file")
            os.unlink(name, dir_fd=target)
        if self._deferral and self._deferral.takes(level.source, name, found, path, existing):
            if level.found is None and not level.is_touched:
                _touch(target)
                level.is_touched = True
        else:
            self._copy(level.source, name, found, target, name)
        return None

    def _target(self, level: _Level) -> int:
        """Return the copy of a directory, made now with its parents if it is not there yet."""
        missing = []
        while level.target is None and level.parent is not None:
            missing.append(level)
            level = level.parent
        target = level.target
        assert target is not None, "the outermost level has its target"  # noqa: S101 - narrows the type
        for child in reversed(missing):
            target = child.target = self._make_directory(target, child)
        return target

    def _make_directory(self, parent: int, level: _Level) -> int:
        existing = stat_at(parent, level.name)
        if existing is None:
            os.mkdir(level.name, 0o700, dir_fd=parent)
            level.is_new = True
        elif not stat.S_ISDIR(existing.st_mode):
            where = shown(level.prefix.rstrip(b"/"))
            raise StepError(f"cannot copy the directory {where} onto something that is no directory")
        target = os.open(level.name, OPEN_DIRECTORY, dir_fd=parent)
        assert level.found is not None, "only the outermost level has none"  # noqa: S101 - narrows the type
        if existing is not None and self._options.passes(level.prefix.rstrip(b"/")):
            os.fchmod(target, stat.S_IMODE(level.found.st_mode))
            return target
        self._metadata(target, level.found, is_directory=True)
        if self._options.xattrs:
            copy_xattrs(b"/proc/self/fd/%d" % level.source, b"/proc/self/fd/%d" % target)
        return target

    def _copy(self, source: int, name: bytes, found: os.stat_result, target: int, new_name: bytes) -> None:
        """Copy a file, link, pipe or device; nothing is in its place."""
        if found.st_nlink > 1 and self._link(found, target, new_name):
            return
        mode = found.st_mode
        if stat.S_ISREG(mode):
            self._regular(source, name, found, target, new_name)
            return
        if stat.S_ISSOCK(mode):
            return  # a socket without its listener is nothing; no archive format has it either
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
        elif stat.S_ISFIFO(mode):
            os.mkfifo(new_name, 0o600, dir_fd=target)
        else:
            try:
                os.mknod(new_name, stat.S_IFMT(mode) | 0o600, found.st_rdev, dir_fd=target)
            except PermissionError as error:
                raise StepError(f"cannot make the device {shown(name)} inside a user namespace") from error
        set_owner(new_name, self._options.owner_of(found), new_name, target)
        if not stat.S_ISLNK(mode):
            os.chmod(new_name, self._options.mode_of(found), dir_fd=target)
        mtime = self._options.mtime_of(found)
        os.utime(new_name, ns=(mtime, mtime), dir_fd=target, follow_symlinks=False)

    def _link(self, found: os.stat_result, target: int, name: bytes) -> bool:
        """Link to the copy that this source's other name has; remember this one where there is none."""
        key = identity(found)
        first = self._linked.get(key)
        if first is None:
            with contextlib.suppress(OSError):  # a path too long to be read: its other names become copies
                self._linked.setdefault(key, os.path.join(os.readlink(b"/proc/self/fd/%d" % target), name))
            return False
        os.link(first, name, dst_dir_fd=target, follow_symlinks=False)
        return True

    def _regular(self, source: int, name: bytes, found: os.stat_result, target: int, new_name: bytes) -> None:
        reader = os.open(name, _READ, dir_fd=source)
        try:
            writer = os.open(new_name, CREATE, 0o600, dir_fd=target)
            try:
                copy_content(reader, writer, found.st_size)
                self._metadata(writer, found, is_directory=False)
                if self._options.xattrs:
                    copy_xattrs(b"/proc/self/fd/%d" % reader, b"/proc/self/fd/%d" % writer)
            finally:
                os.close(writer)
        finally:
            os.close(reader)

    def _metadata(self, fd: int, found: os.stat_result, *, is_directory: bool) -> None:
        set_owner(fd, self._options.owner_of(found))
        os.fchmod(fd, self._options.mode_of(found))
        if not is_directory:
            mtime = self._options.mtime_of(found)
            os.utime(fd, ns=(mtime, mtime))


def _touch(directory: int) -> None:
    """Have a directory among the changes of the step, as when a file is written into it."""
    os.utime(b"/proc/self/fd/%d" % directory)


def make_room(location: ResolvedPath) -> None:
    """Remove what is in the place of a file.

    Raises:
        StepError: it is a directory.
    """
    if location.stat is None:
        return
    if location.is_directory:
        raise StepError(f"cannot replace the directory {shown(location.path)} by a file")
    os.unlink(location.name, dir_fd=location.directory)


def shown(path: bytes) -> str:
    """Return a path as messages show it."""
    return path[:300].decode(errors="replace")
