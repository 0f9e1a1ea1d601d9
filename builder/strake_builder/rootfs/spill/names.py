"""Holds the names in a directory in byte order, however many there are.

A directory of a million files is made in one line of shell. Its names as a list are some 70 MB, with what is
known of each file ten times that. So no more than a few thousand names are in memory: more are sorted in
runs, which go to a file without a name and are merged while they are read.
"""

from __future__ import annotations

import heapq
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, Final

from strake_builder import interrupt

RUN: Final = 16_384
"""Names in memory at a time."""
_PIECE: Final = 16 << 10
_SEPARATOR: Final = b"/"


FILE_MARK: Final = b"\0"
"""Sorts before all that can follow in another name, and is in none."""


def sorted_names(directory: int | bytes, scratch: str, *, mark_files: bool = False) -> Iterator[bytes]:
    """Return the names in a directory as they are now, in byte order.

    Args:
        directory: its path, or a descriptor of it.
        scratch: a directory on disk, for a file without a name.
        mark_files: whether names of regular files end in `FILE_MARK`.

    Raises:
        OSError: the directory cannot be read, or the file cannot be written.
        Exception: it is to stop; see `interrupt`.
    """
    names = Names(scratch)
    # by a path of bytes, names come as bytes
    with os.scandir(b"/proc/self/fd/%d" % directory if isinstance(directory, int) else directory) as entries:
        for entry in entries:
            interrupt.check()
            names.add(
                entry.name + FILE_MARK if mark_files and entry.is_file(follow_symlinks=False) else entry.name
            )
    return names.sorted()


class Names:
    """Names that are added first and read then, once.

    Args:
        scratch: a directory on disk, for a file without a name.
        run: names to hold in memory at a time.
    """

    def __init__(self, scratch: str, run: int = RUN) -> None:
        self._scratch = scratch
        self._run = run
        self._names: list[bytes] = []
        self._written: _Runs | None = None

    def add(self, name: bytes) -> None:
        """Add a name.

        Raises:
            OSError: the file cannot be written.
        """
        self._names.append(name)
        if len(self._names) == self._run:
            if self._written is None:
                self._written = _Runs(self._scratch)
            self._written.add(self._names)
            self._names = []

    def sorted(self) -> Iterator[bytes]:
        """Return the names in byte order."""
        self._names.sort()
        return iter(self._names) if self._written is None else self._written.merged(self._names)


class _Runs:
    """Sorted runs of names in a file."""

    def __init__(self, scratch: str) -> None:
        self._file: BinaryIO = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed when it is read
        self._bounds: list[tuple[int, int]] = []

    def add(self, names: list[bytes]) -> None:
        names.sort()
        start = self._file.tell()
        self._file.write(_SEPARATOR.join(names))
        self._bounds.append((start, self._file.tell()))

    def merged(self, last: list[bytes]) -> Iterator[bytes]:
        """Yield every name, and those of one more run that stayed in memory."""
        self._file.flush()
        with self._file as file:
            yield from heapq.merge(*(_read_run(file.fileno(), *bounds) for bounds in self._bounds), last)


def _read_run(fd: int, at: int, end: int) -> Iterator[bytes]:
    rest = b""
    while at < end:
        piece = os.pread(fd, min(_PIECE, end - at), at)
        at += len(piece)
        *whole, rest = (rest + piece).split(_SEPARATOR)
        yield from whole
    yield rest
