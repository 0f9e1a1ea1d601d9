"""Bounds what one archive may take on disk: three megabytes on the wire can be terabytes of zeros.

Counted before it is written: the content of files (of sparse ones, what is no hole), extended attributes, and
for every member, and every directory that is made on the way to one, a block of the file system, so that
many entries without content are no way round it.
"""

from __future__ import annotations

from typing import Final

from strake_builder.layers.entry import Entry
from strake_builder.layers.errors import TooLargeError
from strake_builder.layers.tar_reader import Content

MAX_UNPACKED: Final = 64 << 30
"""Bytes that a layer or an archive may take where nothing else is asked for. The largest images that people
use (CUDA with frameworks, games, models) have layers of 10 to 20 GiB."""
ENTRY: Final = 4096
"""Bytes that an entry counts for, besides its content: a block, as file systems on disk have them."""
_KIB: Final = 1024
_UNITS: Final = ("GiB", "MiB", "KiB")


class Allowance:
    """What is left of the room for one archive.

    Args:
        limit: in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit

    def member(self, entry: Entry, content: Content) -> None:
        """Count a member that is about to be unpacked.

        Raises:
            TooLargeError: there is no room for it.
        """
        data = entry.size if content.extents is None else sum(extent.size for extent in content.extents)
        self.take(ENTRY + data + sum(map(len, entry.xattrs.values())), entry.path)

    def take(self, size: int, path: bytes) -> None:
        """Count bytes that are about to be written for a path.

        Raises:
            TooLargeError: there is no room for them.
        """
        self._left -= size
        if self._left < 0:
            raise TooLargeError(
                f"it takes more than {_shown(self._limit)} unpacked, which {repr(path[:200])[1:]} exceeds",
                hint="if that is as it should be, raise --max-unpacked-size or STRAKE_MAX_UNPACKED_SIZE",
            )


def _shown(size: int) -> str:
    """Return a size in the largest unit that leaves a whole number."""
    for power, unit in zip((3, 2, 1), _UNITS, strict=True):
        if size and not size % _KIB**power:
            return f"{size // _KIB**power} {unit}"
    return f"{size} bytes"
