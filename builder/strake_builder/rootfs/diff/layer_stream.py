"""Writes changes as a layer's tar stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

from strake_builder import interrupt
from strake_builder.errors import StepError
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.tar_writer import END_OF_ARCHIVE, encode_header, padding
from strake_builder.rootfs.diff.change import Change, shown

_CHUNK: Final = 1 << 20
_SMALL: Final = 64 << 10


def tar_stream(changes: Iterator[Change]) -> Iterator[bytes]:
    """Yield a layer's tar stream.

    Raises:
        StepError: a file cannot be read, or shrank while it was: one that a step wrote only by a process that
            should be dead, a deferred one by what writes to its source.
    """
    for entry, content in changes:
        header = encode_header(entry)
        size = entry.size
        if entry.type is not EntryType.FILE or not size:
            yield header
            continue
        data = os.pread(content, min(size, _CHUNK), 0)
        if len(data) == size <= _SMALL:  # most files: one piece of the stream each
            yield b"".join((header, data, padding(size)))
        else:
            yield header
            yield from _pieces(entry, content, data)
            yield padding(size)
    yield END_OF_ARCHIVE


def _pieces(entry: Entry, content: int, data: bytes) -> Iterator[bytes]:
    """Yield the content of a file, of which the first piece was read."""
    at = 0
    while data:
        yield data
        at += len(data)
        if at == entry.size:
            return
        interrupt.check()
        data = os.pread(content, min(entry.size - at, _CHUNK), at)
    raise StepError(f"{shown(entry.path)} shrank while it was read")
