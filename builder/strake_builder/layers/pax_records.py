"""PAX records: what is in force for the next member, of its own headers and of the global ones before it.

POSIX, "pax Extended Header" (https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html). A global
record holds until another one of its key, so that an archive may go on adding keys for ever: how many are in
force is bounded, and how much they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from strake_builder.layers.errors import MalformedLayerError
from strake_builder.layers.sparse_maps import SPARSE, RepeatedRecords

MAX_RECORDS: Final = 10_000
"""That may be in force at a time. Real archives have some ten, and one more for each extended attribute."""


class PaxRecords:
    """The records in force.

    Args:
        limit: bytes of keys and values, at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next: dict[bytes, bytes] = {}
        self._shared: dict[bytes, bytes] = {}
        self._next_size = self._shared_size = 0

    def take(self, data: bytes, *, shared: bool) -> None:
        """Take the content of a header.

        Args:
            data: the records.
            shared: it is a global header. A sparse map in one counts for nothing: it is of one file.

        Raises:
            MalformedLayerError: the records are malformed, or too many or too large together with those
                in force.
        """
        found = _parse(data)
        if shared:
            found = {key: value for key, value in found.items() if not key.startswith(SPARSE)}
            self._shared_size += _update(self._shared, found)
        else:
            self._next_size += _update(self._next, found)
        if len(self._next) + len(self._shared) > MAX_RECORDS:
            raise MalformedLayerError(f"more than {MAX_RECORDS} PAX records are in force for one member")
        if self._next_size + self._shared_size > self._limit:
            raise MalformedLayerError(f"PAX records of one member exceed the limit of {self._limit} bytes")

    def in_force(self) -> Mapping[bytes, bytes]:
        """Return the records for the next member, and forget those that are for no other."""
        if not self._next:
            return self._shared
        records = {**self._shared, **self._next}
        self._next, self._next_size = {}, 0
        return records


def _update(kept: dict[bytes, bytes], found: dict[bytes, bytes]) -> int:
    """Add records, or replace them; return the bytes that there are more."""
    more = 0
    for key, value in found.items():
        before = kept.get(key)
        more += len(value) + len(key) if before is None else len(value) - len(before)
        kept[key] = value
    return more


def _parse(data: bytes) -> dict[bytes, bytes]:
    records: dict[bytes, bytes] = {}
    repeated = RepeatedRecords()
    at = 0
    while at < len(data) and data[at] != 0:
        space = data.find(b" ", at, at + 10)
        if space < 0 or not data[at:space].isdigit():
            raise MalformedLayerError("a PAX record has no length")
        length = int(data[at:space])
        record = data[space + 1 : at + length]
        if at + length > len(data) or not record.endswith(b"\n") or b"=" not in record:
            raise MalformedLayerError("a PAX record does not fit its length")
        key, _, value = record[:-1].partition(b"=")
        if not repeated.take(key, value):
            records[key] = value
        at += length
    repeated.add_to(records)
    return records
