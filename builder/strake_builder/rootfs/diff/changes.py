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
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from strake_builder import interrupt
from strake_builder.errors import StepError
from strake_builder.layers.entry import OPAQUE_WHITEOUT, WHITEOUT_PREFIX, Entry, EntryType
from strake_builder.rootfs.copying.deferred import DeferredFile, DeferredFiles
from strake_builder.rootfs.diff.change import NO_CONTENT, Change, HeldContent, open_content, shown
from strake_builder.rootfs.diff.deferred_members import DeferredMembers
from strake_builder.rootfs.files.cursor import Cursor
from strake_builder.rootfs.spill.disk_map import DiskMap, identity
from strake_builder.rootfs.spill.names import FILE_MARK, sorted_names
from strake_builder.rootfs.stack.layer_stack import is_opaque
from strake_builder.rootfs.stack.lower_layers import LowerLayers, read_xattrs
from strake_builder.rootfs.stack.whiteout import is_whiteout
from strake_oci.lazy_dataclass import dataclass

_SECOND: Final = 1_000_000_000
_PATH_MAX: Final = 4094
"""Bytes: the kernel takes 4,096 with a slash before and a zero behind (limits.h, PATH_MAX)."""
_SPECIAL: Final[Mapping[int, EntryType]] = MappingProxyType(
    {
        stat.S_IFLNK: EntryType.SYMLINK,
        stat.S_IFIFO: EntryType.FIFO,
        stat.S_IFCHR: EntryType.CHAR_DEVICE,
        stat.S_IFBLK: EntryType.BLOCK_DEVICE,
    }
)

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
        deferred: files that are as if they were in it, but where something was written later.

    Raises:
        StepError: a path is longer than the kernel allows to open, a name is a whiteout's, a file cannot be
            opened, or a source of deferred files is not what it was.
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


_Found = tuple[bytes, os.stat_result | DeferredFile, int]
"""A name in a directory, what is there, and a descriptor of it where that is a regular file."""


@dataclass(slots=True)
class _Level:
    """A directory that is being read.

    Attributes:
        path: in the upper directory.
        members: what is left of it.
        names: how many were read, but for deferred files.
        deferred: how many deferred files were.
        has_links: one of them, or of those in its directories, is a file of more than one name.
        is_new: nothing in it was there before: the lower layers have no such directory, or it hides theirs.
    """

    path: bytes
    members: Iterator[_Found]
    names: int = 0
    deferred: int = 0
    has_links: bool = False
    is_new: bool = False


class _Walk:
    def __init__(
        self, upper: bytes, lowers: list[bytes], reading: _Reading, deferred: DeferredFiles | None
    ) -> None:
        self._upper = upper
        self._lowers = LowerLayers(lowers)
        self._reading = reading
        self._scratch = os.fsdecode(os.path.dirname(upper))
        self._linked = DiskMap(self._scratch)
        self._deferred = DeferredMembers(deferred, reading.left_out)
        self._content = HeldContent()

    def walk(self) -> Iterator[Change]:
        """Yield the changes, and keep nothing open afterwards."""
        with contextlib.ExitStack() as opened:
            for each in (self._linked, self._deferred, self._content):
                opened.callback(each.close)
            yield from self._walk(opened.enter_context(Cursor(self._upper)))

    def _walk(self, cursor: Cursor) -> Iterator[Change]:
        """Depth first with a stack of our own: a tree may be deeper than Python's."""
        waiting: list[Change] = []  # directories that are unchanged unless something below is
        stack = [_Level(b"", self._members(cursor, b""))]
        while stack:
            level = stack[-1]
            child = next(level.members, None)
            if child is None:
                stack.pop()
                if waiting and waiting[-1][0].path == level.path:
                    waiting.pop()
                if stack:
                    cursor.up()
                    self._pass(level, stack[-1])
                continue
            name, found, _ = child
            path = level.path + b"/" + name if level.path else name
            if isinstance(found, DeferredFile) or not stat.S_ISDIR(found.st_mode):
                file = self._file(cursor.fd, level, path, child)
                if file is not None:
                    yield from waiting
                    waiting.clear()
                    yield file
                continue
            level.names += 1
            _check_path(path, name)
            with _reading_directory(path):
                cursor.down(name)
            entry = self._entry(path, EntryType.DIRECTORY, found, cursor.fd)
            opaque = is_opaque(cursor.fd)
            was = None if level.is_new or opaque else self._lowers.directory(path)
            waiting.append((entry, NO_CONTENT))
            if was is None or not self._lowers.same_directory(was, entry):
                yield from waiting
                waiting.clear()
                if opaque:
                    yield Entry(path + b"/" + OPAQUE_WHITEOUT, EntryType.FILE), NO_CONTENT
            stack.append(_Level(path, self._members(cursor, path), is_new=was is None))

    def _file(self, directory: int, level: _Level, path: bytes, found: _Found) -> Change | None:
        """Return what is no directory as a change; None where it is none."""
        name, what, content = found
        if isinstance(what, DeferredFile):
            level.deferred += 1
            _check_path(path, name)
            change = self._deferred.change(what, self._reading.clamp(what.mtime_ns // _SECOND))
            return None if self._is_same(level, change, what.mtime_ns) else change
        level.names += 1
        if content == NO_CONTENT and is_whiteout(what):
            return Entry(path[: len(path) - len(name)] + WHITEOUT_PREFIX + name, EntryType.FILE), NO_CONTENT
        _check_path(path, name)
        if what.st_nlink > 1:
            level.has_links = True
            first = self._linked.setdefault(identity(what), path)
            if first != path:
                return self._entry(path, EntryType.HARD_LINK, what, None)._replace(target=first), NO_CONTENT
        if content == NO_CONTENT:
            return self._special(directory, path, name, what), NO_CONTENT
        change = self._entry(path, EntryType.FILE, what, content), content
        if self._is_same(level, change, what.st_mtime_ns):
            if what.st_nlink > 1:
                self._linked.discard(identity(what))  # a name that is not written is no target
            return None
        return change

    def _is_same(self, level: _Level, file: Change, mtime_ns: int) -> bool:
        return not level.is_new and self._lowers.same_file(file, mtime_ns)

    def _pass(self, level: _Level, parent: _Level) -> None:
        """Tell that a directory was read."""
        if level.has_links:
            parent.has_links = True
        else:
            self._reading.passed(self._upper + b"/" + level.path, level.names)
            if self._deferred.passing is not None and level.deferred:
                self._reading.passed(self._deferred.passing + b"/" + level.path, level.deferred)

    def _members(self, cursor: Cursor, path: bytes) -> Iterator[_Found]:
        """Yield what is in the directory that the cursor is at, whenever the next is asked for."""
        prefix, left_out = path + b"/" if path else b"", self._reading.left_out
        with _reading_directory(path):
            for marked in sorted_names(cursor.fd, self._scratch, mark_files=True):
                interrupt.check()
                name = marked.rstrip(FILE_MARK)
                if self._deferred.is_left:
                    for file in self._deferred.before(prefix, name):
                        yield file.path.rpartition(b"/")[2], file, NO_CONTENT
                if left_out and prefix + name in left_out:
                    continue
                deferred = self._deferred.take(prefix + name) if self._deferred.is_left else None
                if name is not marked:
                    content, found = open_content(prefix + name, name, cursor.fd)
                    yield name, found, self._content.hold(content)
                    continue
                found = os.stat(name, dir_fd=cursor.fd, follow_symlinks=False)
                if deferred is not None and _is_in_place_of(deferred, found):
                    yield name, deferred, NO_CONTENT
                elif not stat.S_ISSOCK(found.st_mode) or is_whiteout(found):
                    # Tar has no form for a socket, and nobody listens on it in an image: GNU tar and
                    # containerd skip it.
                    yield name, found, NO_CONTENT
            for file in self._deferred.rest(prefix):
                yield file.path.rpartition(b"/")[2], file, NO_CONTENT

    def _special(self, directory: int, path: bytes, name: bytes, found: os.stat_result) -> Entry:
        """Return a link, a pipe or a device."""
        kind = _SPECIAL[stat.S_IFMT(found.st_mode)]
        entry = self._entry(path, kind, found, _way(directory, name))
        if kind is EntryType.SYMLINK:
            return entry._replace(target=os.readlink(name, dir_fd=directory))
        return entry._replace(device=(os.major(found.st_rdev), os.minor(found.st_rdev)))

    def _entry(self, path: bytes, kind: EntryType, found: os.stat_result, where: int | bytes | None) -> Entry:
        """Return a member without what only its type has.

        Args:
            path: in the layer.
            kind: what it is.
            found: what is there.
            where: it, open, or a path to it; None for one whose attributes another member has.
        """
        return Entry(
            path,
            kind,
            stat.S_IMODE(found.st_mode),
            found.st_uid,
            found.st_gid,
            found.st_size if kind is EntryType.FILE else 0,
            self._reading.clamp(found.st_mtime_ns // _SECOND),
            xattrs={} if where is None else read_xattrs(where),
        )


def _way(directory: int, name: bytes) -> bytes:
    """Return a path that leads to a name in an open directory: attributes have no other way."""
    return b"/proc/self/fd/%d/%s" % (directory, name)


@contextlib.contextmanager
def _reading_directory(path: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise StepError(
            f"cannot read the directory {shown(path)}… that the step made: {error.strerror}"
        ) from error


def _check_path(path: bytes, name: bytes) -> None:
    """Refuse what a layer cannot hold, or nothing can unpack.

    Raises:
        StepError: the name is a whiteout's, so that a pull would delete something instead; the path is too
            long.
    """
    if name.startswith(WHITEOUT_PREFIX):
        raise StepError(
            f"{shown(path)} cannot be in an image: in a layer its name would delete a file instead",
            hint="names that begin with .wh. are whiteouts (OCI image spec, layer.md): rename it, "
            "remove it in the same step, or leave it out with .dockerignore",
        )
    if len(path) > _PATH_MAX:
        raise StepError(
            f"{shown(path)}… cannot be in an image: its path of {len(path):,} bytes is longer than the "
            f"{_PATH_MAX:,} that Linux opens",
            hint="remove it in the same step",
        )


def _is_in_place_of(file: DeferredFile, found: os.stat_result) -> bool:
    """Say whether a deferred file is what its path has: what a step wrote, it wrote later.

    Raises:
        StepError: that is a directory.
    """
    if stat.S_ISDIR(found.st_mode):
        raise StepError(f"cannot copy a directory onto {shown(file.path)}, which is no directory")
    return is_whiteout(found)
