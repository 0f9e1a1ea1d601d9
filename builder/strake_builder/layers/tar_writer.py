"""Writes tar headers: ustar where it is enough, PAX records for what ustar cannot say.

The standard library's `tarfile` costs 50 to 70 µs a member and keeps every member in memory. A
layer of 50,000 files wants a tenth of that, and nothing kept. Output is deterministic: the same
entries give the same bytes.

Format: POSIX.1-2001 pax interchange (IEEE Std 1003.1, `pax`, "pax Interchange Format").
Extended attributes go into `SCHILY.xattr.NAME` records, as all image tools write them.
"""

from __future__ import annotations

import functools
import zlib
from typing import Final

from strake_builder.layers.entry import Entry, EntryType

BLOCK: Final = 512
END_OF_ARCHIVE: Final = bytes(2 * BLOCK)

_NAME_MAX: Final = 100
_PREFIX_MAX: Final = 155
_OCTAL_7_MAX: Final = 0o7777777
_OCTAL_11_MAX: Final = 0o77777777777
_PAX_TYPE: Final = b"x"
_FILE: Final = EntryType.FILE.value
_TAIL: Final = b"ustar\x0000" + bytes(64)  # magic, version, no user and group names


def padding(size: int) -> bytes:
    """Return the zero bytes that fill content of `size` bytes up to a whole block."""
    return bytes(-size % BLOCK)


def encode_header(entry: Entry) -> bytes:
    """Return the header blocks of a member: one block, or a PAX header before it where needed.

    Args:
        entry: the member. Directories get a trailing slash in the archive.

    Returns:
        Whole blocks of 512 bytes, to be followed by the content and `padding(entry.size)`.
    """
    path, kind, mode, uid, gid, size, mtime, target, device, xattrs = entry
    if kind is EntryType.DIRECTORY:
        path += b"/"
    records: list[tuple[bytes, bytes]] = []
    prefix, name = _split(path)
    if name is None:
        records.append((b"path", path))
        prefix, name = b"", path[:_NAME_MAX].rstrip(b"/")
    if len(target) > _NAME_MAX:
        records.append((b"linkpath", target))
        target = target[:_NAME_MAX]
    if uid > _OCTAL_7_MAX or gid > _OCTAL_7_MAX or size > _OCTAL_11_MAX or not 0 <= mtime <= _OCTAL_11_MAX:
        uid = _number(b"uid", uid, _OCTAL_7_MAX, records)
        gid = _number(b"gid", gid, _OCTAL_7_MAX, records)
        size = _number(b"size", size, _OCTAL_11_MAX, records)
        mtime = _number(b"mtime", mtime, _OCTAL_11_MAX, records)
    if xattrs:
        records += [(b"SCHILY.xattr." + key, value) for key, value in sorted(xattrs.items())]
    flag = _FILE if kind is EntryType.FILE else kind.value  # to read a member's value is slow
    block = _block(name, prefix, flag, (mode, uid, gid, size, mtime), target, device)
    return _pax_header(entry, records) + block if records else block


def _number(key: bytes, value: int, limit: int, records: list[tuple[bytes, bytes]]) -> int:
    """Return `value` as the ustar field holds it, adding a PAX record where it does not fit."""
    if 0 <= value <= limit:
        return value
    records.append((key, b"%d" % value))
    return 0


def _split(path: bytes) -> tuple[bytes, bytes | None]:
    """Return (prefix, name) as ustar stores a path, or a name of None where it cannot."""
    if len(path) <= _NAME_MAX:
        return b"", path
    if len(path) > _NAME_MAX + 1 + _PREFIX_MAX:
        return b"", None
    cut = path.find(b"/", len(path) - _NAME_MAX - 1, -1)
    if 0 < cut <= _PREFIX_MAX:
        return path[:cut], path[cut + 1 :]
    return b"", None


def _block(
    name: bytes,
    prefix: bytes,
    type_flag: bytes,
    numbers: tuple[int, int, int, int, int],
    target: bytes,
    device: tuple[int, int],
) -> bytes:
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(_NAME_MAX, b"\0"), *numbers)
    rest, checksum = _rest(prefix, type_flag, target, device)
    # Adler-32's lower half is 1 and the sum of the bytes, modulo 65,521, which so few cannot reach: a tenth
    # of the time that `sum` takes.
    checksum += (zlib.adler32(head) & 0xFFFF) - 1
    return b"%s%06o\0 %s" % (head, checksum, rest)


@functools.lru_cache(maxsize=64)
def _rest(prefix: bytes, type_flag: bytes, target: bytes, device: tuple[int, int]) -> tuple[bytes, int]:
    """Return what follows the checksum, and what it adds to it: most files have the same."""
    rest = b"%s%s%s%07o\0%07o\0%s" % (
        type_flag,
        target.ljust(_NAME_MAX, b"\0"),
        _TAIL,
        *device,
        prefix.ljust(BLOCK - 345, b"\0"),
    )
    return rest, sum(rest) + 8 * 0x20  # the checksum field counts as spaces


def _pax_header(entry: Entry, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_pax_record(key, value) for key, value in records)
    name = (b"PaxHeaders.0/" + entry.name)[:_NAME_MAX]
    header = _block(name, b"", _PAX_TYPE, (0o644, 0, 0, len(body), 0), b"", (0, 0))
    return header + body + padding(len(body))


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Return one record, `LENGTH key=value newline`, where LENGTH counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
