"""Reads a layer's tar stream, one member at a time, trusting nothing in it.

Base images and archives are untrusted. Every size is bounded before memory is taken for it,
and a member's content is handed out as a stream. Understood: ustar, PAX (path, linkpath, size,
numbers, times, `SCHILY.xattr`), GNU long names, base-256 numbers and GNU sparse files
(`sparse_maps`), which is what docker, buildah, kaniko, Bazel and GNU tar write.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from strake_builder import interrupt
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import MalformedLayerError, shown
from strake_builder.layers.pax_records import PaxRecords
from strake_builder.layers.sparse_maps import (
    SPARSE,
    Extent,
    extents,
    map_of_content,
    map_of_records,
    real_size,
    version,
)
from strake_builder.layers.tar_writer import BLOCK
from strake_oci.images import Readable

MAX_EXTENSION: Final = 1 << 20
"""Bytes of one PAX header or GNU long name. Linux ends paths at 4 KiB and xattrs at 64 KiB each."""

_GNU_LONG_NAME: Final = b"L"
_GNU_LONG_LINK: Final = b"K"
_GNU_SPARSE: Final = b"S"
_PAX_NEXT: Final = b"x"
_PAX_GLOBAL: Final = b"g"
_XATTR: Final = b"SCHILY.xattr."
_FILE_FLAGS: Final = (b"0", b"\0", b"7", _GNU_SPARSE)
_TYPES: Final[Mapping[bytes, EntryType]] = MappingProxyType(
    {kind.value: kind for kind in EntryType} | dict.fromkeys(_FILE_FLAGS, EntryType.FILE)
)
_CHECKSUM: Final = slice(148, 156)
_SPACES: Final = 8 * 0x20
"""What the checksum field counts as."""
_CHUNK: Final = 1 << 20


class Content:
    """The bytes of the current member, to be read before the next member is asked for.

    Attributes:
        extents: where the bytes belong, for a sparse file; None where they are the whole file.
    """

    def __init__(self, source: Readable, size: int, extents: tuple[Extent, ...] | None = None) -> None:
        self._source = source
        self._left = size
        self._padding = -size % BLOCK
        self.extents = extents

    def read(self, size: int = _CHUNK) -> bytes:
        """Return at most `size` bytes, and empty at the end of the member."""
        if not self._left:
            return b""
        interrupt.check()
        data = self._source.read(min(size, self._left, _CHUNK))  # it is memory that is asked for
        if not data:
            raise MalformedLayerError(f"the archive ends {self._left} bytes before its member does")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Read past what is left of the member and its padding."""
        while self._left:
            self.read()
        if self._padding:
            _read_exactly(self._source, self._padding)
            self._padding = 0


def read_members(source: Readable) -> Iterator[tuple[Entry, Content]]:
    """Yield the members of a tar stream in order.

    Paths are normalised to no leading `/` or `./` and no trailing slash; `..` components are kept
    for the caller to judge. The archive's root itself comes as the empty path.

    Raises:
        MalformedLayerError: bad checksum, truncated stream, an oversized extension or a bad number.
    """
    longs: dict[bytes, bytes] = {}
    pax = PaxRecords(MAX_EXTENSION)
    while True:
        interrupt.check()
        block = _read_block(source)
        if block is None:
            return
        flag = block[156:157]
        if flag in {_GNU_LONG_NAME, _GNU_LONG_LINK}:
            longs[flag] = _read_extension(source, block).rstrip(b"\0")
            continue
        if flag in {_PAX_NEXT, _PAX_GLOBAL}:
            pax.take(_read_extension(source, block), shared=flag == _PAX_GLOBAL)
            continue
        entry, content = _member(source, block, pax.in_force(), longs)
        longs = {}
        if entry is not None:
            yield entry, content
        content.skip()


def _member(
    source: Readable, block: bytes, records: Mapping[bytes, bytes], longs: dict[bytes, bytes]
) -> tuple[Entry | None, Content]:
    flag = block[156:157]
    raw = records.get(b"path") or longs.get(_GNU_LONG_NAME) or _ustar_path(block)
    stored = _int(records, b"size", block[124:136])
    kind = _type(flag, raw)
    if kind is None:
        return None, Content(source, stored)
    is_file = kind is EntryType.FILE
    entry = Entry(
        normalise(raw),
        kind,
        _parse_number(block[100:108]) & 0o7777,
        _int(records, b"uid", block[108:116]),
        _int(records, b"gid", block[116:124]),
        stored if is_file else 0,
        _mtime(records, block),
        records.get(b"linkpath") or longs.get(_GNU_LONG_LINK) or block[157:257].partition(b"\0")[0],
        (0, 0) if is_file else (_parse_number(block[329:337]), _parse_number(block[337:345])),
        {k[len(_XATTR) :]: v for k, v in records.items() if k.startswith(_XATTR)} if records else {},
    )
    if flag == _GNU_SPARSE:
        return _old_sparse(source, block, entry, stored)
    if records and (major := version(records, raw)) is not None:
        return _pax_sparse(source, records, entry, stored, major)
    # POSIX: a link, directory or device has no content, whatever its size field says.
    return entry, Content(source, entry.size)


def _type(flag: bytes, raw: bytes) -> EntryType | None:
    """Return the member's type, or None for a kind that names no file (such as a volume label)."""
    kind = _TYPES.get(flag)
    if kind is EntryType.FILE and flag != _GNU_SPARSE and raw.endswith(b"/"):
        return EntryType.DIRECTORY
    return kind


def normalise(path: bytes) -> bytes:
    """Return a member's path without empty and `.` components; `..` stays."""
    if path[-1:] == b"/":
        path = path[:-1]
    if not (b"//" in path or b"/." in path or path[:1] in b"/." or path[-1:] == b"/"):
        return path
    return b"/".join(part for part in path.split(b"/") if part not in {b"", b"."})


def _read_block(source: Readable) -> bytes | None:
    """Return the next header block; None at the end of the archive."""
    block = source.read(BLOCK)
    while 0 < len(block) < BLOCK:
        more = source.read(BLOCK - len(block))
        if not more:
            raise MalformedLayerError("the archive ends inside a header")
        block += more
    if not block or (not block[0] and not block.strip(b"\0")):
        while source.read(_CHUNK):
            pass  # whatever follows the end marker still belongs to the digest of the stream
        return None
    if _parse_number(block[_CHECKSUM]) != _sum(block) - sum(block[_CHECKSUM]) + _SPACES:
        raise MalformedLayerError("a header's checksum is wrong: this is no tar archive, or a damaged one")
    return block


def _sum(block: bytes) -> int:
    """Return the sum of a header's bytes.

    Adler-32's lower half is 1 and that sum, modulo 65,521, which 512 bytes of ASCII cannot reach: a twentieth
    of the time that `sum` takes.
    """
    return (zlib.adler32(block) & 0xFFFF) - 1 if block.isascii() else sum(block)


def _read_exactly(source: Readable, size: int) -> bytes:
    data = source.read(size) if size else b""  # a stream that is asked for nothing may take it for its end
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            raise MalformedLayerError("the archive ends early")
        data += more
    return data


def _read_extension(source: Readable, block: bytes) -> bytes:
    size = _parse_number(block[124:136])
    if size > MAX_EXTENSION:
        raise MalformedLayerError(f"an extension header of {size} bytes exceeds the limit of {MAX_EXTENSION}")
    data = _read_exactly(source, size)
    _read_exactly(source, -size % BLOCK)
    return data


def _parse_number(field: bytes) -> int:
    """Return an octal field, or a base-256 one (GNU) where its first bit says so."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            raise MalformedLayerError("a header holds a negative number")
        return value
    text = field.strip(b" \0")
    if not text:
        return 0
    try:
        return int(text, 8)
    except ValueError:
        raise MalformedLayerError(f"a header holds {shown(field)} where a number should be") from None


def _int(records: Mapping[bytes, bytes], key: bytes, field: bytes) -> int:
    value = records.get(key)
    if not value:  # an empty one takes back a global one
        return _parse_number(field)
    if not value.isdigit() or len(value) > 20:  # noqa: PLR2004 - digits of 2^64
        raise MalformedLayerError(f"the PAX record {key.decode()} holds {shown(value)}")
    return int(value)


def _mtime(records: Mapping[bytes, bytes], block: bytes) -> int:
    value = records.get(b"mtime")
    if not value:
        return _parse_number(block[136:148]) if not block[136] & 0x40 else 0
    seconds = value.partition(b".")[0]
    if not seconds.lstrip(b"-").isdigit() or len(seconds) > 20:  # noqa: PLR2004 - digits of 2^64
        raise MalformedLayerError(f"the PAX record mtime holds {shown(value)}")
    return max(int(seconds), 0)


def _ustar_path(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _old_sparse(source: Readable, block: bytes, entry: Entry, stored: int) -> tuple[Entry, Content]:
    """GNU's first sparse format: the map is in the header and in blocks that follow it."""
    numbers = [_parse_number(block[at : at + 12]) for at in range(386, 482, 12)]
    more, size = block[482], _parse_number(block[483:495])
    while more:
        extension = _read_exactly(source, BLOCK)
        numbers += [_parse_number(extension[at : at + 12]) for at in range(0, 504, 12)]
        more = extension[504]
        if len(numbers) * 12 > MAX_EXTENSION:
            raise MalformedLayerError(f"{shown(entry.path)}: the sparse map exceeds its limit")
    while numbers[-2:] == [0, 0]:  # room that is not used
        del numbers[-2:]
    return entry._replace(size=size), Content(source, stored, extents(numbers, size, stored, entry.path))


def _pax_sparse(
    source: Readable, records: Mapping[bytes, bytes], entry: Entry, stored: int, major: int
) -> tuple[Entry, Content]:
    """GNU's later sparse formats: the map is in PAX records (0.0, 0.1) or before the content (1.0)."""
    if entry.type is not EntryType.FILE:
        raise MalformedLayerError(f"{shown(entry.path)} has a sparse map, and is no file")
    content, size = Content(source, stored), real_size(records, stored, entry.path)
    if major:
        content.extents = map_of_content(
            lambda: _read_exactly(content, BLOCK), size, stored, MAX_EXTENSION, entry.path
        )
    else:
        content.extents = map_of_records(records, size, stored, entry.path)
    name = records.get(SPARSE + b"name") or entry.path
    return entry._replace(path=normalise(name), size=size), content
