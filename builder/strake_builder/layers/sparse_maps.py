"""Reads where the data of a sparse file belong, in the four forms in which GNU tar writes it.

Read as Go's archive/tar reads them, so that a layer or archive means the same here and in other image
tools: a map is in order, within the file's size, and places all of the data that is stored, or is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from strake_builder.layers.errors import MalformedLayerError, shown
from strake_oci.lazy_dataclass import dataclass

SPARSE: Final = b"GNU.sparse."
"""Prefix of the PAX records of a sparse file."""

_MAP: Final = SPARSE + b"map"
_PAIR: Final = (SPARSE + b"offset", SPARSE + b"numbytes")
_DIGITS: Final = 19
"""Of 2^63 - 1, the largest size that a file can have."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of data in a sparse file: `size` bytes that belong at `offset`."""

    offset: int
    size: int


class RepeatedRecords:
    """Collects the records of format 0.0, the only ones in PAX that mean something by being repeated."""

    def __init__(self) -> None:
        self._values: list[bytes] = []

    def take(self, key: bytes, value: bytes) -> bool:
        """Take a record; return whether it was one of these.

        Raises:
            MalformedLayerError: it is not the one that is due.
        """
        if key not in _PAIR:
            return False
        if key != _PAIR[len(self._values) % 2] or b"," in value:
            raise MalformedLayerError("the records of a sparse map are not in order")
        self._values.append(value)
        return True

    def add_to(self, records: dict[bytes, bytes]) -> None:
        """Add what was collected as format 0.1 has it."""
        if self._values:
            records[_MAP] = b",".join(self._values)


def version(records: Mapping[bytes, bytes], path: bytes) -> int | None:
    """Return the major version of a member's sparse format: 0, 1, or None where it is not sparse.

    Raises:
        MalformedLayerError: it is of a version that nobody has written yet.
    """
    major, minor = records.get(SPARSE + b"major", b""), records.get(SPARSE + b"minor", b"")
    if not major and not minor:  # 0.0 and 0.1 do not always say so
        return 0 if records.get(_MAP) else None
    if (major, minor) in {(b"0", b"0"), (b"0", b"1")}:
        return 0
    if (major, minor) == (b"1", b"0"):
        return 1
    text = f"{major[:20].decode(errors='replace')}.{minor[:20].decode(errors='replace')}"
    raise MalformedLayerError(f"{shown(path)}: the sparse format {text} is not known")


def real_size(records: Mapping[bytes, bytes], stored: int, path: bytes) -> int:
    """Return the size of a sparse file, in bytes, holes included."""
    text = records.get(SPARSE + b"size") or records.get(SPARSE + b"realsize")
    return _decimal(text, path) if text else stored


def map_of_records(records: Mapping[bytes, bytes], size: int, stored: int, path: bytes) -> tuple[Extent, ...]:
    """Return the map of a member in format 0.0 or 0.1.

    Args:
        records: the member's PAX records.
        size: of the file.
        stored: bytes of data that the archive has of it.
        path: to name in errors.

    Raises:
        MalformedLayerError: it is malformed.
    """
    parts = text.split(b",") if (text := records.get(_MAP)) else []
    count = _decimal(records.get(SPARSE + b"numblocks", b""), path)
    if len(parts) != 2 * count:
        raise MalformedLayerError(f"{shown(path)}: the sparse map has not the number of parts that it names")
    return extents((_decimal(part, path) for part in parts), size, stored, path)


def map_of_content(
    read: Callable[[], bytes], size: int, stored: int, limit: int, path: bytes
) -> tuple[Extent, ...]:
    """Return the map of a member in format 1.0, which is decimal text before its data.

    Args:
        read: returns the next block of the content, and raises `MalformedLayerError` at its end.
        size: of the file.
        stored: bytes of the content, the map included.
        limit: bytes of text that are read at most.
        path: to name in errors.

    Raises:
        MalformedLayerError: it is malformed.
    """
    text, lines, needed = bytearray(), 0, 1
    while lines < needed:
        block = read()
        text += block
        lines += block.count(b"\n")
        if len(text) > limit:
            raise MalformedLayerError(f"{shown(path)}: the sparse map exceeds the limit of {limit} bytes")
        if lines and needed == 1:
            needed = 1 + 2 * _decimal(bytes(text[: text.index(b"\n")]), path)
    numbers = (_decimal(line, path) for line in bytes(text).split(b"\n")[1:needed])
    return extents(numbers, size, stored - len(text), path)


def extents(numbers: Iterable[int], size: int, stored: int, path: bytes) -> tuple[Extent, ...]:
    """Return the runs of data of a map, without empty ones.

    Args:
        numbers: offset and length in turn.
        size: of the file.
        stored: bytes of data that the archive has of it.
        path: to name in errors.

    Raises:
        MalformedLayerError: they overlap, are out of order or beyond the size, or are not all of the data.
    """
    found, end, total = [], 0, 0
    for offset, length in _pairs(numbers):
        if offset < end or offset + length > size:
            raise MalformedLayerError(f"{shown(path)}: the sparse map is not in order")
        end = offset + length
        total += length
        if total > stored:
            raise MalformedLayerError(f"{shown(path)}: the sparse map promises more data than there is")
        if length:
            found.append(Extent(offset, length))
    if total != stored:
        raise MalformedLayerError(f"{shown(path)}: the sparse map leaves data without an offset")
    return tuple(found)


def _pairs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    turn = iter(numbers)
    return zip(turn, turn, strict=False)


def _decimal(text: bytes, path: bytes) -> int:
    if not text.isdigit() or len(text) > _DIGITS:
        raise MalformedLayerError(
            f"{shown(path)}: the sparse map holds {shown(text[:40])} instead of a number"
        )
    return int(text)
