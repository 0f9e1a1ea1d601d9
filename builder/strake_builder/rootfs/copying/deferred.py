"""Files of a step that its layer's directory does not have: the layer takes their content from the source.

Where nothing reads what a step leaves but its own layer, a file would be made only to be read once and
removed. What the layer needs of it besides its content is noted here instead, some hundred bytes on disk.
The source is what a COPY copies from, or the root itself, where that is a tree which is compared.
"""

from __future__ import annotations

import heapq
import itertools
import os
import struct
import tempfile
from collections.abc import Iterator
from operator import attrgetter
from typing import BinaryIO, Final, NamedTuple

_HEAD: Final = struct.Struct("=HIIQqII")
"""Mode, user, group, size, time of modification, and the lengths of the two paths that follow."""
_RUNS: Final = 64
"""Sequences of notes, each in order: one for each source, more where wildcards stand for directories."""
_OWNERS: Final = 1024
_REPLACED: Final = 4096
_PIECE: Final = 64 << 10


class DeferredFile(NamedTuple):
    """A regular file as its layer has it.

    Attributes:
        path: in the layer, relative to its root.
        source: path of its content, relative to the root that it is copied from, without links.
        mode: permissions.
        uid: owner.
        gid: group.
        size: bytes of content.
        mtime_ns: time of modification in nanoseconds since 1970.
    """

    path: bytes
    source: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int


def member_order(path: bytes) -> bytes:
    """Return what paths are sorted by as layers have them: what is in a directory comes right after it."""
    return path.replace(b"/", b"\0")


class DeferredFiles:
    """The deferred files of a step: noted while it executes, and read then, as often as wanted. Close it.

    Args:
        scratch: a directory on disk, for a file without a name.
        passing: path of the root that the files are copied from, where it may go as they are read.

    Attributes:
        passing: likewise.
    """

    def __init__(self, scratch: str, passing: str | None = None) -> None:
        self.passing = passing
        self._file: BinaryIO = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed by close
        self._starts: list[int] = []
        self._last = b""
        self._root = -1
        self._owners = {(0, 0)}
        self._replaced = set[bytes]()

    def close(self) -> None:
        """Forget all."""
        self._file.close()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    @property
    def root(self) -> int:
        """Descriptor (O_PATH) of the root that the files are copied from."""
        return self._root

    def has_replaced(self, path: bytes) -> bool:
        """Say whether a file is in place of one of the lower layers that an outline can have."""
        return path in self._replaced

    def read_from(self, root: str) -> None:
        """Tell where the content of all the files is, once or again."""
        if self._root < 0:
            self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def can_have(self, owner: tuple[int, int]) -> bool:
        """Say whether a file of an owner may be deferred: not the first, which shows that there are such IDs.

        A user namespace may lack them. Whether a file can have them is the same for all files then, deferred
        or not.
        """
        if owner in self._owners:
            return True
        if len(self._owners) < _OWNERS:
            self._owners.add(owner)
        return False

    def add(self, file: DeferredFile, *, replaces: bool) -> bool:
        """Note a file; False where it must be written after all.

        Args:
            file: what to note; it replaces one that was noted earlier under its path.
            replaces: a regular file of the lower layers is there.

        Raises:
            OSError: the note cannot be written.
        """
        key = member_order(file.path)
        if not self._starts or key <= self._last:
            if len(self._starts) == _RUNS:
                return False
            self._starts.append(self._file.tell())
        self._last = key
        path, source, *numbers = file
        self._file.write(_HEAD.pack(*numbers, len(path), len(source)) + path + source)
        if replaces and len(self._replaced) < _REPLACED:
            self._replaced.add(path)
        return True

    def __iter__(self) -> Iterator[DeferredFile]:
        """Yield the files in the order in which a layer has them."""
        self._file.flush()
        ends = [*self._starts, self._file.tell()][1:]
        runs = [self._run(start, end) for start, end in zip(self._starts, ends, strict=True)]
        merged = heapq.merge(*runs, key=lambda file: member_order(file.path))
        for _, same in itertools.groupby(merged, attrgetter("path")):
            *_, latest = same
            yield latest

    def _run(self, at: int, end: int) -> Iterator[DeferredFile]:
        data = b""
        while at < end:
            piece = os.pread(self._file.fileno(), min(_PIECE, end - at), at)
            at += len(piece)
            data, start = data + piece, 0
            while (body := start + _HEAD.size) <= len(data):
                *numbers, path, source = _HEAD.unpack_from(data, start)
                if body + path + source > len(data):
                    break
                start = body + path + source
                yield DeferredFile(data[body : body + path], data[body + path : start], *numbers)
            data = data[start:]


class DeferredSources:
    """Opens the directories of deferred files' sources, one after the other. Close it.

    Args:
        root: descriptor of the root that the files are copied from.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._directory = -1
        self._path = b""

    def close(self) -> None:
        """Close what is open."""
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def directory(self, path: bytes) -> int:
        """Return a descriptor (O_PATH) of a directory, until the next one is asked for.

        Args:
            path: relative to the root, without links: none is followed.

        Raises:
            OSError: a directory on the way is gone, or is none any more.
        """
        if self._directory < 0 or path != self._path:
            self.close()
            self._directory, self._path = self._opened(path), path
        return self._directory

    def _opened(self, path: bytes) -> int:
        at = os.dup(self._root)
        for name in filter(None, path.split(b"/")):
            try:
                inner = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            finally:
                os.close(at)
            at = inner
        return at
