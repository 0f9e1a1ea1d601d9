"""Compresses and decompresses layers as streams.

gzip goes through ISA-L, which compresses about ten times faster than zlib at its default level for
some ten percent more bytes. Its scale ends at 3: levels from 4 on, which somebody asks for who wants
small layers and has time, go through zlib. zstd is offered where every consumer reads it (OCI image
spec 1.1).
"""

from __future__ import annotations

import sys
import zlib
from typing import IO, Final, Protocol, cast

from strake_builder import interrupt
from strake_builder.layers.errors import MalformedLayerError, UnknownCompressionError
from strake_builder.layers.format import GZIP_LEVEL, ZSTD_LEVEL
from strake_oci.images import Readable
from strake_oci.spec.mediatype import Compression

_CHUNK: Final = 256 << 10
_MAGIC_MAX: Final = 6
_ZSTD_WINDOW_LIMIT: Final = 128 << 20
"""Bytes. Windows of `zstd --long=27`, the longest that its own tool reads unasked."""
_ZSTD_WINDOW_LOG: Final = 22
_ZSTD_CHAIN_LOG: Final = 22
_ZSTD_HASH_LOG: Final = 21
_ISAL_MAX: Final = 3
_ISAL_LOOK_AHEAD: Final = 288
"""Bytes that ISA-L keeps back until it has more (`ISAL_LOOK_AHEAD` in its igzip_lib.h)."""
_GZIP_WINDOW: Final = 31
"""zlib's way to say: the largest window, in a gzip member without name and time."""


class Compressor(Protocol):
    """Turns plain bytes into packed ones, piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """Return what is complete so far, perhaps nothing."""
        ...

    def flush(self) -> bytes:
        """Return the rest and end the stream."""
        ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _IsalGzip:
    """ISA-L's gzip, with one encoding for the same input.

    With the first byte of a stream, ISA-L's assembly enters the third one into its hash table by what
    is in a register (`write_first_byte` in igzip_icf_body_h1_gr_bt.asm up to v2.32: `tmp2` is the
    address of the stream). One stream in some thousands finds a match by it that the others do not
    find. A first call that has one byte more than the look-ahead takes that byte alone, and the next
    call computes the hashes that follow.
    """

    def __init__(self, level: int) -> None:
        from isal import isal_zlib

        self._stream = isal_zlib.compressobj(level, wbits=_GZIP_WINDOW)
        self._first: bytes | None = b""

    def compress(self, data: bytes, /) -> bytes:
        if self._first is None:
            return self._stream.compress(data)
        held = self._first + data if self._first else data
        if len(held) <= _ISAL_LOOK_AHEAD:
            self._first = held
            return b""
        self._first = None
        head, rest = held[: _ISAL_LOOK_AHEAD + 1], memoryview(held)[_ISAL_LOOK_AHEAD + 1 :]
        return self._stream.compress(head) + self._stream.compress(rest)

    def flush(self) -> bytes:
        short = self._stream.compress(self._first) if self._first else b""
        return short + self._stream.flush()


def compressor(compression: Compression, level: int | None = None) -> Compressor:
    """Return a fresh compressor; the same pieces and level give the same bytes.

    Args:
        compression: the format.
        level: one of `format.LEVELS`; a fast default where None.
    """
    match compression:
        case Compression.NONE:
            return _Plain()
        case Compression.GZIP:
            level = GZIP_LEVEL if level is None else level
            if level > _ISAL_MAX:
                return zlib.compressobj(level, wbits=_GZIP_WINDOW)
            return _IsalGzip(level)
        case Compression.ZSTD:
            return _zstd(ZSTD_LEVEL if level is None else level)


def _zstd(level: int) -> Compressor:
    """Return a compressor of at most some 32 MiB, for which unpacking needs 4 MiB.

    zstd's own tables for level 22 take 730 MiB, its windows 128 MiB. RFC 8878 (3.1.1.1.2) asks decoders
    for 8 MiB and no more. How hard a level searches stays its own.
    """
    import zstandard

    own = zstandard.ZstdCompressionParameters.from_level(level)
    bounded = zstandard.ZstdCompressionParameters.from_level(
        level,
        window_log=min(own.window_log, _ZSTD_WINDOW_LOG),
        chain_log=min(own.chain_log, _ZSTD_CHAIN_LOG),
        hash_log=min(own.hash_log, _ZSTD_HASH_LOG),
    )
    return zstandard.ZstdCompressor(compression_params=bounded).compressobj()


class DecompressedStream:
    """The plain bytes of a possibly compressed stream, its format recognised by its first bytes.

    A read never takes much more memory than it returns, however well the stream is packed. The
    packed stream is read to its very end, so that a digest over it covers everything.

    Args:
        source: the packed bytes.

    Raises:
        UnknownCompressionError: the first bytes belong to a format that is known but not supported.
        MalformedLayerError: while reading, when the packed bytes are damaged or end early.

    Attributes:
        is_packed: whether the first bytes are those of a compressed stream.
    """

    def __init__(self, source: Readable) -> None:
        self._source = _Peeked(source)
        self._plain = _reader(self._source)
        self.is_packed = self._plain is not self._source

    def read(self, size: int = _CHUNK, /) -> bytes:
        """Return at most `size` plain bytes, and empty only at the end."""
        try:
            data = self._plain.read(size)
        except _damage() as error:
            raise MalformedLayerError(f"the compressed stream is damaged: {error}") from error
        if not data:
            while self._source.read(_CHUNK):
                pass
        return data


class _Peeked:
    """A source whose first bytes can be looked at before they are read."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.head = b""
        while len(self.head) < _MAGIC_MAX and (more := source.read(_CHUNK)):
            self.head += more
        self._left = self.head

    def read(self, size: int = -1, /) -> bytes:
        if self._left:
            data, self._left = self._left[:size], self._left[size:] if size > 0 else b""
            return data if size > 0 else self.head
        interrupt.check()  # here, since a stream may be long and hold nothing
        return self._source.read(size if size > 0 else _CHUNK)


class _GzipReader:
    """gzip through ISA-L, member after member, with an output bound for each call."""

    def __init__(self, source: Readable) -> None:
        from isal import isal_zlib

        self._new = isal_zlib.decompressobj
        self._decoder = self._new(wbits=_GZIP_WINDOW)
        self._source = source
        self._packed = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if not self._packed and not (self._decoder.unconsumed_tail and not self._decoder.eof):
                self._packed = self._source.read(_CHUNK)
                if not self._packed and not self._decoder.eof:
                    raise EOFError("it ends early")
            if self._decoder.eof:
                self._packed = self._packed.lstrip(b"\0")  # RFC 1952 allows padding between members
                if not self._packed:
                    if not (more := self._source.read(_CHUNK)):
                        return b""
                    self._packed = more
                    continue
                self._decoder = self._new(wbits=_GZIP_WINDOW)
            plain = self._decoder.decompress(self._packed, max(size, _CHUNK))
            self._packed = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            if plain:
                return plain


def _reader(source: _Peeked) -> Readable:
    """Return a reader of the plain bytes of `source`, which is itself where it is not packed."""
    head = source.head
    if head.startswith(b"\x1f\x8b"):
        return _Buffered(_GzipReader(source))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_LIMIT)
        return context.stream_reader(cast("IO[bytes]", source), read_across_frames=True)
    if head.startswith(b"BZh"):
        import bz2

        return bz2.BZ2File(cast("IO[bytes]", source))
    if head.startswith(b"\xfd7zXZ\0"):
        import lzma

        return lzma.LZMAFile(cast("IO[bytes]", source))
    if head.startswith(b"\x04\x22\x4d\x18"):
        raise UnknownCompressionError("the stream is compressed with lz4, which images do not use")
    return source


class _Buffered:
    """Cuts what a reader returns to the size that is asked for."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._data = b""
        self._at = 0

    def read(self, size: int, /) -> bytes:
        if self._at >= len(self._data):
            self._data, self._at = self._source.read(size), 0
        if self._at == 0 and len(self._data) <= size:
            data, self._data = self._data, b""
            return data
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data


def _damage() -> tuple[type[Exception], ...]:
    """Return what the libraries in use raise for damaged bytes."""
    found: list[type[Exception]] = [EOFError, OSError, zlib.error]
    for module, name in (("isal.isal_zlib", "error"), ("zstandard", "ZstdError"), ("lzma", "LZMAError")):
        if loaded := sys.modules.get(module):
            found.append(getattr(loaded, name))
    return tuple(found)
