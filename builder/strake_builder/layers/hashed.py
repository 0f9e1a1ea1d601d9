"""A stream that is hashed on its way."""

from __future__ import annotations

from strake_builder import interrupt
from strake_oci.images import Readable
from strake_oci.spec.digest import Hasher


class HashedStream:
    """Hands a source's bytes on.

    Args:
        source: read from.

    Attributes:
        hasher: of everything that was read so far.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.hasher = Hasher()

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, empty at the end."""
        interrupt.check()
        data = self._source.read(size)
        self.hasher.update(data)
        return data
