"""Says what a step changed, by walking overlay's upper directory: its cost is the change, not the image.

Everything in an upper directory was written to, which is not the same as changed: a directory is there
because something below it is, a file because it was opened for writing or given the owner that it had.
What is as before is left out, as BuildKit's differ does; parents of changes are written, as every image
tool does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from strake_builder import interrupt
from strake_builder.errors import StepError
from strake_builder.layers.entry import OPAQUE_WHITEOUT, WHITEOUT_PREFIX, Entry, EntryType
from strake_builder.layers.tar_writer import END_OF_ARCHIVE, encode_header, padding
from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles
from strake_builder.rootfs.diff.deferred_members import DeferredMembers
from strake_builder.rootfs.spill.disk_map import DiskMap, identity
from strake_builder.rootfs.spill.names import sorted_names
from strake_builder.rootfs.stack.layer_stack import is_opaque
from strake_builder.rootfs.stack.lower_layers import LowerLayers, read_xattrs
from strake_builder.rootfs.stack.whiteout import is_whiteout
from strake_builder.unforeseen import from_os_error
from strake_oci.lazy_dataclass import dataclass

_CHUNK: Final = 1 << 20
_SMALL: Final = 64 << 10
_SECOND: Final = 1_000_000_000
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Change = tuple[Entry, bytes]
"""A member of a layer, and the path of its content on disk."""

Clamp = Callable[[int], int]
"""Turns a modification time, in whole seconds, into the one that the layer says."""

Passed = Callable[[bytes, int], object]
"""(absolute path of a directory, names in it): it is not read again."""


def overlay_changes(
    upper: str,
    lowers: Sequence[str],
    *,
    clamp: Clamp | None = None,
    passed: Passed | None = None,
    left_out: frozenset[bytes] = frozenset(),
    deferred: DeferredFiles | None = None,
) -> Iterator[Change]:
    """Yield what an upper directory changes, parents before children, names in byte order.

    Args:
        upper: overlay's upper directory, mounted by nobody any more. What is too much for memory is noted
            in files without a name beside it.
        lowers: the lower layers, topmost first.
        clamp: applied to every modification time.
        passed: called with each directory whose content was yielded, and used, to the end: it may go. Not
            with one that has a file of several names: the number of links tells that there are others.
        left_out: paths that are passed over with all that is under them, what was removed there included.
        deferred: files that are as if they were in it, but where something was written later. The path of
            the content of one is valid until the next change is asked for.

    Raises:
        StepError: a path is longer than the kernel allows to open, a name is a whiteout's, or a source of
            deferred files is not what it was.
    """
    layers = [os.fsencode(lower) for lower in lowers]
    reading = _Reading(clamp or (lambda t: t), passed or (lambda *_: None), left_out)
    return _Walk(os.fsencode(upper), layers, reading, deferred).walk()


@dataclass(frozen=True, slots=True)
class _Reading:
    """How an upper directory is read; see `overlay_changes`."""

    clamp: Clamp
    passed: Passed
    left_out: frozenset[bytes]


@dataclass(slots=True)
class _Level:
    """A directory that is being read.

    Attributes:
        path: in the upper directory.
        members: what is left of it: path and what is there.
        names: how many were read.
        has_links: one of them, or of those in its directories, is a file of more than one name.
        is_new: nothing in it was there before: the lower layers have no such directory, or it hides theirs.
    """

    path: bytes
    members: Iterator[tuple[bytes, os.stat_result | DeferredFile]]
    names: int = 0
    has_links: bool = False
    is_new: bool = False


class _Walk:
    def __init__(
        self, upper: bytes, lowers: list[bytes], reading: _Reading, deferred: DeferredFiles | None
    ) -> None:
        self._upper = upper + b"/"
        self._lowers = LowerLayers(lowers)
        self._reading = reading
        self._scratch = os.fsdecode(os.path.dirname(upper))
        self._linked = DiskMap(self._scratch)
        self._deferred = DeferredMembers(deferred, reading.left_out)

    def walk(self) -> Iterator[Change]:
        """Yield the changes, and keep nothing open afterwards."""
        with contextlib.closing(self._linked), contextlib.closing(self._deferred):
            yield from self._walk()

    def _walk(self) -> Iterator[Change]:
        """Depth first with a stack of our own: a tree may be deeper than Python's."""
        waiting: list[Change] = []  # directories that are unchanged unless something below is
        stack = [_Level(b"", self._members(b""))]
        while stack:
            level = stack[-1]
            child = next(level.members, None)
            if child is None:
                stack.pop()
                if waiting and waiting[-1][0].path == level.path:
                    waiting.pop()
                if stack:
                    self._pass(level, stack[-1])
                continue
            path, found = child
            if isinstance(found, DeferredFile) or not stat.S_ISDIR(found.st_mode):
                file = self._file(level, path, found)
                if file is not None:
                    yield from waiting
                    waiting.clear()
                    yield file
                continue
            level.names += 1
            change = self._change(path, found)
            opaque = is_opaque(self._upper + path)
            was = None if level.is_new or opaque else self._lowers.directory(path)
            if was is None or not self._lowers.same_directory(was, change[0]):
                yield from waiting
                waiting.clear()
                yield change
                if opaque:
                    yield Entry(path + b"/" + OPAQUE_WHITEOUT, EntryType.FILE), b""
            else:
                waiting.append(change)
            stack.append(_Level(path, self._members(path), is_new=was is None))

    def _file(self, level: _Level, path: bytes, found: os.stat_result | DeferredFile) -> Change | None:
        """Return what is no directory as a change; None where it is none."""
        if isinstance(found, DeferredFile):
            _check_name(path, path.rpartition(b"/")[2])
            change = self._deferred.change(found, self._reading.clamp(int(found.mtime_ns // _SECOND)))
            return None if self._is_same(level, change, found.mtime_ns) else change
        level.names += 1
        level.has_links = level.has_links or found.st_nlink > 1
        change = self._change(path, found)
        if self._is_same(level, change, found.st_mtime_ns):
            self._linked.discard(identity(found))  # a name that is not written is no target
            return None
        return change

    def _is_same(self, level: _Level, change: Change, mtime_ns: int) -> bool:
        return not level.is_new and self._lowers.same_file(change, mtime_ns)

    def _pass(self, level: _Level, parent: _Level) -> None:
        """Tell that a directory was read."""
        if level.has_links:
            parent.has_links = True
        else:
            self._reading.passed(self._upper + level.path, level.names)

    def _members(self, path: bytes) -> Iterator[tuple[bytes, os.stat_result | DeferredFile]]:
        prefix = path + b"/" if path else b""
        where = self._upper + prefix
        try:
            for name in sorted_names(where, self._scratch):
                interrupt.check()
                for file in self._deferred.before(prefix, name):
                    yield file.path, file
                if prefix + name in self._reading.left_out:
                    continue
                found = os.lstat(where + name)
                deferred = self._deferred.take(prefix + name)
                if deferred is not None and _is_in_place_of(deferred, found):
                    yield prefix + name, deferred
                elif not _is_socket(found) or is_whiteout(found):
                    yield prefix + name, found
            for file in self._deferred.rest(prefix):
                yield file.path, file
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise
            shown = path[:120].decode(errors="replace")
            raise StepError(
                f"cannot read the directory /{shown}… that the step made: {error.strerror}"
            ) from error

    def _change(self, path: bytes, found: os.stat_result) -> Change:
        mode = found.st_mode
        where = self._upper + path
        parent, _, name = path.rpartition(b"/")
        if not stat.S_ISREG(mode) and is_whiteout(found):
            name = WHITEOUT_PREFIX + name
            return Entry(parent + b"/" + name if parent else name, EntryType.FILE), b""
        _check_name(path, name)
        target, kind, size = b"", _kind(mode), 0
        if found.st_nlink > 1 and kind is not EntryType.DIRECTORY:
            first = self._linked.setdefault(identity(found), path)
            if first != path:
                kind, target = EntryType.HARD_LINK, first
        if kind is EntryType.SYMLINK:
            target = os.readlink(where)
        elif kind is EntryType.FILE:
            size = found.st_size
        entry = Entry(
            path=path,
            type=kind,
            mode=stat.S_IMODE(mode),
            uid=found.st_uid,
            gid=found.st_gid,
            size=size,
            mtime=self._reading.clamp(int(found.st_mtime_ns // _SECOND)),
            target=target,
            device=(os.major(found.st_rdev), os.minor(found.st_rdev)) if found.st_rdev else (0, 0),
            xattrs={} if kind is EntryType.HARD_LINK else read_xattrs(where),
        )
        return entry, where


def tar_stream(changes: Iterator[Change]) -> Iterator[bytes]:
    """Yield a layer's tar stream.

    Raises:
        StepError: a file cannot be read, or shrank while it was: one that a step wrote only by a process that
            should be dead, a deferred one by what writes to its source.
    """
    for entry, where in changes:
        header = encode_header(entry)
        if entry.type is not EntryType.FILE or not entry.size:
            yield header
        elif entry.size <= _SMALL:  # most files: one piece of the stream each
            yield b"".join((header, *_content(entry, where), padding(entry.size)))
        else:
            yield header
            yield from _content(entry, where)
            yield padding(entry.size)
    yield END_OF_ARCHIVE


def _content(entry: Entry, where: bytes) -> Iterator[bytes]:
    left = entry.size
    try:
        fd = os.open(where, _READ)
    except OSError as error:
        refused = OSError(error.errno, error.strerror)  # the path is one of ours
        raise from_os_error(refused, f"cannot read {_shown(entry.path)}", StepError) from error
    try:
        while True:
            data = os.read(fd, min(left, _CHUNK))
            if not data:
                raise StepError(f"{_shown(entry.path)} shrank while it was read")
            left -= len(data)
            yield data
            if not left:
                return
            interrupt.check()
    finally:
        os.close(fd)


def _shown(path: bytes) -> str:
    return "/" + path[:300].decode(errors="replace")


def _check_name(path: bytes, name: bytes) -> None:
    """Refuse a name that a layer cannot hold: a pull would delete something instead."""
    if name.startswith(WHITEOUT_PREFIX):
        raise StepError(
            f"{_shown(path)} cannot be in an image: in a layer its name would delete a file instead",
            hint="names that begin with .wh. are whiteouts (OCI image spec, layer.md): rename it, "
            "remove it in the same step, or leave it out with .dockerignore",
        )


def _kind(mode: int) -> EntryType:
    if stat.S_ISREG(mode):
        return EntryType.FILE
    if stat.S_ISDIR(mode):
        return EntryType.DIRECTORY
    if stat.S_ISLNK(mode):
        return EntryType.SYMLINK
    if stat.S_ISFIFO(mode):
        return EntryType.FIFO
    return EntryType.CHAR_DEVICE if stat.S_ISCHR(mode) else EntryType.BLOCK_DEVICE


def _is_in_place_of(file: DeferredFile, found: os.stat_result) -> bool:
    """Say whether a deferred file is what its path has: what a step wrote, it wrote later.

    Raises:
        StepError: that is a directory.
    """
    if stat.S_ISDIR(found.st_mode):
        raise StepError(f"cannot copy a directory onto {_shown(file.path)}, which is no directory")
    return is_whiteout(found)


def _is_socket(found: os.stat_result) -> bool:
    """Tar has no form for a socket, and nobody listens on it in an image: GNU tar and containerd skip it."""
    return stat.S_ISSOCK(found.st_mode)
