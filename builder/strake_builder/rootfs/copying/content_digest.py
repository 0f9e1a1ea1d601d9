"""Names what COPY would copy: one digest over paths, types, modes, owners, attributes and contents.

Times are left out, so that a fresh checkout of the same files is the same content (as BuildKit's
contenthash does). The walk follows the rules of `rootfs.copying.copy`: the same filters, the same links.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from strake_builder import interrupt
from strake_builder.rootfs.copying.options import CopyOptions
from strake_builder.rootfs.files.file_content import content_xattrs
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.lookup import OPEN_DIRECTORY
from strake_builder.rootfs.files.path_walk import ResolvedPath
from strake_builder.rootfs.spill.disk_map import DiskMap, identity
from strake_builder.rootfs.spill.names import sorted_names

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_VERSION: Final = struct.Struct("=QQqq")
"""Device, inode, time of change, size."""
_FILES_IN_MEMORY: Final = 1 << 16
"""Some 15 MB: few contexts have more files, and asking a file for one costs half of what hashing it does."""


class FileDigests:
    """Digests of files, each read once a build: by device, inode, time of change and size. Thread-safe.

    Args:
        scratch: a directory on disk, for files without names.

    Attributes:
        scratch: the same.
    """

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self._lock = threading.Lock()
        self._known = DiskMap(scratch, _FILES_IN_MEMORY)

    def close(self) -> None:
        """Forget all digests."""
        self._known.close()

    def of(self, fd: int, found: os.stat_result) -> bytes:
        """Return the SHA-256 of an open regular file."""
        version = _VERSION.pack(found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size)
        with self._lock:
            known = self._known.get(version)
        if known is None:
            hasher = hashlib.sha256()
            while data := os.read(fd, _CHUNK):
                interrupt.check()
                hasher.update(data)
            known = hasher.digest()
            with self._lock:
                self._known.setdefault(version, known)
        return known


def content_digest(source: Root, path: bytes, options: CopyOptions, files: FileDigests) -> bytes | None:
    """Return a digest of what copying a path would copy, None where there is no such path.

    Args:
        source: root that `path` is resolved in; a link in its last component is followed.
        path: absolute or relative to the source's root.
        options: which members count, and whether owners do.
        files: remembers the digests of files.

    Raises:
        PathError: the path cannot be resolved.
        OSError: a file cannot be read.
    """
    with source.at(path) as location:
        if location.stat is None:
            return None
        with contextlib.closing(_Walk(options, files)) as walk:
            if location.is_directory:
                walk.tree(location)
            else:
                walk.member(location.directory, location.name, b"", location.stat)
            return walk.hasher.digest()


@dataclass(slots=True)
class _Level:
    fd: int
    prefix: bytes
    names: Iterator[bytes]
    found: os.stat_result | None
    recorded: bool


class _Walk:
    def __init__(self, options: CopyOptions, files: FileDigests) -> None:
        self._options = options
        self._files = files
        self._linked = DiskMap(files.scratch)
        self.hasher = hashlib.sha256()

    def close(self) -> None:
        self._linked.close()

    def tree(self, location: ResolvedPath) -> None:
        """Take in the content of a directory, however deep; the directory's own metadata is not copied."""
        fd = os.open(location.name, OPEN_DIRECTORY, dir_fd=location.directory)
        stack = [_Level(fd, b"", sorted_names(fd, self._files.scratch), None, recorded=True)]
        self._record(b"tree")
        try:
            while stack:
                level = stack[-1]
                name = next(level.names, None)
                if name is None:
                    os.close(stack.pop().fd)
                elif child := self._enter(stack, name):
                    stack.append(child)
        finally:
            for level in stack:
                os.close(level.fd)

    def _enter(self, stack: list[_Level], name: bytes) -> _Level | None:
        interrupt.check()
        level, options = stack[-1], self._options
        path = level.prefix + name
        found = os.stat(name, dir_fd=level.fd, follow_symlinks=False)
        is_directory = stat.S_ISDIR(found.st_mode)
        kept = options.keeps(path, is_directory)
        if is_directory:
            if not kept and not options.enters(path):
                return None
            fd = os.open(name, OPEN_DIRECTORY, dir_fd=level.fd)
            names = sorted_names(fd, self._files.scratch)
            child = _Level(fd, path + b"/", names, found, recorded=False)
            if kept:
                self._record_way([*stack, child])
            return child
        if kept:
            self._record_way(stack)
            self.member(level.fd, name, path, found)
        return None

    def _record_way(self, stack: list[_Level]) -> None:
        """Take in the directories that lead here: one that is only passed through counts if it leads on."""
        for level in stack:
            if not level.recorded:
                assert level.found is not None, "only the outermost level has none"  # noqa: S101 - narrows the type
                self._metadata(level.prefix, level.found)
                self._attributes(level.fd)
                level.recorded = True

    def member(self, directory: int, name: bytes, path: bytes, found: os.stat_result) -> None:
        """Take in one thing that is no directory."""
        mode = found.st_mode
        if stat.S_ISSOCK(mode):
            return
        if found.st_nlink > 1:
            first = self._linked.setdefault(identity(found), path)
            if first != path:
                self._record(b"link", path, first)
                return
        self._metadata(path, found)
        if stat.S_ISREG(mode):
            fd = os.open(name, _READ, dir_fd=directory)
            try:
                self._record(self._files.of(fd, found))
                self._attributes(fd)
            finally:
                os.close(fd)
        elif stat.S_ISLNK(mode):
            self._record(os.readlink(name, dir_fd=directory))
        else:
            self._record(str(found.st_rdev).encode())

    def _metadata(self, path: bytes, found: os.stat_result) -> None:
        owner = b"" if self._options.owner else b"%d:%d" % (found.st_uid, found.st_gid)
        # the mode that a copy gets is the step's to say; the one that it changes is content
        self._record(path, b"%o" % found.st_mode, owner)

    def _attributes(self, fd: int) -> None:
        for name, value in sorted(content_xattrs(b"/proc/self/fd/%d" % fd).items()):
            self._record(name.encode(errors="surrogateescape"), value)

    def _record(self, *parts: bytes) -> None:
        self.hasher.update(
            b"%d" % len(parts) + b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        )
