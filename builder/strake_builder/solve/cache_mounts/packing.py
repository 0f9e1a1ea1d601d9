"""Makes the tar stream of a pack: the content of some files of a cache mount."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from strake_builder import interrupt
from strake_builder.cache.mounts.listing import Listed
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.tar_writer import END_OF_ARCHIVE, encode_header, padding
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.cache_mounts.scan import UnkeepableMountError

_PIECE: Final = 1 << 20
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def pack_stream(root: Root, paths: Sequence[bytes], entries: Mapping[bytes, Listed]) -> Iterator[bytes]:
    """Yield a tar stream with the content of files, whose metadata the listing has.

    Raises:
        UnkeepableMountError: a file is no longer what was listed.
        OSError: it cannot be read.
    """
    for path in paths:
        size = entries[path].size
        yield encode_header(Entry(path, EntryType.FILE, size=size))
        yield from _content(root, path, size)
        yield padding(size)
    yield END_OF_ARCHIVE


def _content(root: Root, path: bytes, size: int) -> Iterator[bytes]:
    with root.at(path, follow=False) as location:
        fd = os.open(location.name, _READ, dir_fd=location.directory)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UnkeepableMountError("it changes while it is read")
        left = size
        while left:
            interrupt.check()
            data = os.read(fd, min(left, _PIECE))
            if not data:
                raise UnkeepableMountError("it changes while it is read")
            left -= len(data)
            yield data
    finally:
        os.close(fd)
