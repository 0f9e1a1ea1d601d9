"""Copies files and trees into a root file system by the rules of COPY.

The rules are BuildKit's (its file operations stand on tonistiigi/fsutil's copy package):

- a file goes into the destination where that is a directory or ends with a slash, else it becomes it;
- of a directory the content is copied, and the destination is a directory;
- directories merge: those below the destination take the source's metadata, the destination itself
  keeps what it has;
- a destination that is made, and its parents that are made on the way, get the mode that the options say:
  with an octal `--chmod` its permissions without setuid, setgid and sticky, else 0755;
- at the destination links are followed; below it a file replaces whatever link is in its place;
- hard links within one source stay hard links.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from strake_builder import interrupt
from strake_builder.errors import StepError
from strake_builder.rootfs.files.file_content import copy_content, copy_xattrs, write_all
from strake_builder.rootfs.files.inside import NewDirectory, ResolvedPath, Root
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY, stat_at
from strake_builder.rootfs.files.owner import set_owner
from strake_builder.rootfs.spill.disk_map import DiskMap, identity
from strake_builder.rootfs.spill.names import sorted_names
from strake_oci.lazy_dataclass import dataclass

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Filter = Callable[[bytes, bool], bool]
"""(path relative to the copied directory, is a directory) → whether it is copied."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How things are copied.

    Attributes:
        owner: (uid, gid) of everything made; None keeps the source's.
        mode: turns (the source's permissions, is a directory) into those of the copy; None keeps them.
        keep: which members of a directory are copied; None copies all.
        enter: which directories can hold something that is copied, though they are not themselves.
        mtime_ns: modification time of everything copied; None keeps the source's.
        made_mode: permissions of directories made on the way, the destination included.
        leave_out: which members of a directory that are none themselves are left out, by what they are.
        xattrs: copy capabilities and the user's extended attributes.
    """

    owner: tuple[int, int] | None = None
    mode: Callable[[int, bool], int] | None = None
    keep: Filter | None = None
    enter: Filter | None = None
    mtime_ns: int | None = None
    made_mode: int = 0o755
    leave_out: Callable[[os.stat_result], bool] | None = None
    xattrs: bool = True

    def keeps(self, path: bytes, is_directory: bool) -> bool:
        """Whether a member of a directory is copied."""
        return self.keep is None or self.keep(path, is_directory)

    def enters(self, path: bytes) -> bool:
        """Whether a directory that is not copied may hold something that is."""
        return self.enter is not None and self.enter(path, True)

    def new_directory(self) -> NewDirectory:
        """How the destination and its parents are made."""
        uid, gid = self.owner or (0, 0)
        return NewDirectory(self.made_mode, uid, gid, self.mtime_ns)


def copy_path(source: Root, path: bytes, target: Root, destination: bytes, options: CopyOptions) -> None:
    """Copy one source, a file or a directory's content.

    Args:
        source: root that `path` is resolved in; a link in its last component is followed.
        path: absolute or relative to the source's root, without wildcards.
        target: root that is written to.
        destination: absolute; a trailing slash says that it is a directory.
        options: see `CopyOptions`.

    Raises:
        StepError: the source is missing, or the destination cannot hold it.
        PathError: a path cannot be resolved.
        Exception: it is to stop; see `interrupt`.
    """
    with source.at(path) as origin:
        if origin.stat is None:
            raise StepError(f"{_shown(path)} does not exist")
        if origin.is_directory:
            _copy_tree(origin, target, destination, options)
        else:
            with contextlib.closing(_Copier(options, target.beside)) as copier:
                copier.file_into(origin, path.rpartition(b"/")[2], target, destination)


def write_file(
    content: bytes, name: bytes, mode: int, target: Root, destination: bytes, options: CopyOptions
) -> None:
    """Write a small file whose content is at hand, by the rules for copying a file called `name`."""
    new = options.new_directory()
    wanted = _file_path(name, target, destination, new)
    with target.at(wanted, create=new) as location:
        _make_room(location)
        fd = os.open(location.name, _CREATE, 0o600, dir_fd=location.directory)
        try:
            write_all(fd, content)
            uid, gid = options.owner or (0, 0)
            set_owner(fd, (uid, gid), wanted)
            os.fchmod(fd, options.mode(mode, False) if options.mode else mode)
            if options.mtime_ns is not None:
                os.utime(fd, ns=(options.mtime_ns, options.mtime_ns))
        finally:
            os.close(fd)


def _file_path(name: bytes, target: Root, destination: bytes, new: NewDirectory) -> bytes:
    """Return where a file called `name` goes, making the destination where it must be a directory."""
    if destination.endswith(b"/"):
        target.make_directories(destination, new)
        return destination + name
    found = target.stat(destination)
    if found is not None and stat.S_ISDIR(found.st_mode):
        return destination + b"/" + name
    return destination


def _copy_tree(origin: ResolvedPath, target: Root, destination: bytes, options: CopyOptions) -> None:
    found = target.stat(destination)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise StepError(f"cannot copy a directory onto {_shown(destination)}, which is no directory")
    new = options.new_directory()
    made = target.make_directories(destination, new)
    source_fd = os.open(origin.name, OPEN_DIRECTORY, dir_fd=origin.directory)
    try:
        with target.directory(destination) as fd:
            with contextlib.closing(_Copier(options, target.beside)) as copier:
                copier.tree(source_fd, fd)
            if made and options.mtime_ns is not None:
                os.utime(f"/proc/self/fd/{fd}", ns=(options.mtime_ns, options.mtime_ns))
    finally:
        os.close(source_fd)


@dataclass(slots=True)
class _Level:
    """A directory being copied: what is left of it, and both sides open.

    The copy of a directory that is not wanted for itself is made when something in it is: until
    then `target` is None.
    """

    source: int
    prefix: bytes
    names: Iterator[bytes]
    found: os.stat_result | None = None
    name: bytes = b""
    parent: _Level | None = None
    target: int | None = None


class _Copier:
    def __init__(self, options: CopyOptions, scratch: str) -> None:
        self._options = options
        self._scratch = scratch
        self._linked = DiskMap(scratch)

    def close(self) -> None:
        self._linked.close()

    def file_into(self, origin: ResolvedPath, name: bytes, target: Root, destination: bytes) -> None:
        """Copy one thing that is no directory to a destination that may be one."""
        if origin.stat is None:
            raise StepError(f"{_shown(origin.path)} does not exist")
        new = self._options.new_directory()
        wanted = _file_path(name, target, destination, new)
        with target.at(wanted, create=new) as location:
            _make_room(location)
            self._copy(origin.directory, origin.name, origin.stat, location.directory, location.name)

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
            mtime = self._options.mtime_ns if self._options.mtime_ns is not None else found.st_mtime_ns
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
        existing = stat_at(target, name)
        if existing is not None:
            if stat.S_ISDIR(existing.st_mode):
                raise StepError(f"cannot replace the directory {_shown(path)} by a file")
            os.unlink(name, dir_fd=target)
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
        elif not stat.S_ISDIR(existing.st_mode):
            where = _shown(level.prefix.rstrip(b"/"))
            raise StepError(f"cannot copy the directory {where} onto something that is no directory")
        target = os.open(level.name, OPEN_DIRECTORY, dir_fd=parent)
        assert level.found is not None, "only the outermost level has none"  # noqa: S101 - narrows the type
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
                raise StepError(f"cannot make the device {_shown(name)} inside a user namespace") from error
        uid, gid = self._options.owner or (found.st_uid, found.st_gid)
        set_owner(new_name, (uid, gid), new_name, target)
        if not stat.S_ISLNK(mode):
            os.chmod(new_name, self._mode(found), dir_fd=target)
        mtime = self._options.mtime_ns if self._options.mtime_ns is not None else found.st_mtime_ns
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
            writer = os.open(new_name, _CREATE, 0o600, dir_fd=target)
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
        owner = self._options.owner or (found.st_uid, found.st_gid)
        set_owner(fd, owner)
        os.fchmod(fd, self._mode(found))
        if not is_directory:
            mtime = self._options.mtime_ns if self._options.mtime_ns is not None else found.st_mtime_ns
            os.utime(fd, ns=(mtime, mtime))

    def _mode(self, found: os.stat_result) -> int:
        mode = stat.S_IMODE(found.st_mode)
        return self._options.mode(mode, stat.S_ISDIR(found.st_mode)) if self._options.mode else mode


def _make_room(location: ResolvedPath) -> None:
    if location.stat is None:
        return
    if location.is_directory:
        raise StepError(f"cannot replace the directory {_shown(location.path)} by a file")
    os.unlink(location.name, dir_fd=location.directory)


def _shown(path: bytes) -> str:
    return path[:300].decode(errors="replace")
