"""Reading an OCI image layout that is kept in a tar file, without unpacking it.

The tar is scanned once for the offsets of its members; blobs are then read at them. It may come from
anyone: the number of entries and the size of their headers are limited, and names only select, they never
become paths.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from strake_oci.errors import LayoutError
from strake_oci.stores.layout_index import MARKER
from strake_oci.stores.layout_reader import LayoutReader

_MAX_ENTRIES: Final = 20_000
_MAX_HEADER: Final = 1024 * 1024


class LayoutArchive(LayoutReader):
    """An image layout in an uncompressed tar. Thread-safe; an `ImageReader`.

    Args:
        path: The file.

    Raises:
        LayoutError: It cannot be read, or is no image layout in a tar.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(str(path))
        self.path = Path(path)
        self._members = self._scan()
        if MARKER not in self._members:
            raise LayoutError(f"{self.path} is no OCI image layout: it holds no {MARKER}")

    def _scan(self) -> dict[str, tuple[int, int]]:
        members: dict[str, tuple[int, int]] = {}
        try:
            with self.path.open("rb") as raw, tarfile.open(fileobj=_ShortReads(raw), mode="r:") as tar:
                for count, entry in enumerate(tar):
                    if count >= _MAX_ENTRIES:
                        raise LayoutError(f"{self.path} has more than {_MAX_ENTRIES} entries")
                    if entry.isreg():
                        members[str(PurePosixPath(entry.name))] = (entry.offset_data, entry.size)
        except OSError as error:
            raise LayoutError(f"{self.path} cannot be read: {error.strerror}") from error
        except tarfile.TarError as error:
            raise LayoutError(
                f"{self.path} is no tar: {error}", hint="a compressed one must be unpacked first"
            ) from error
        return members

    def _open(self, name: str) -> _Part:
        member = self.members_named(name)
        try:
            raw = self.path.open("rb", buffering=0)
            raw.seek(member[0])
        except OSError as error:
            raise LayoutError(f"{self.path} cannot be read: {error.strerror}") from error
        return _Part(raw, member[1])

    def members_named(self, name: str) -> tuple[int, int]:
        """Return where in the file an entry's content begins, and its size in bytes.

        Raises:
            LayoutError: There is no such entry.
        """
        member = self._members.get(name)
        if member is None:
            raise LayoutError(f"{self.path} holds no {name}")
        return member


class _ShortReads(io.BufferedReader):
    """A file for tarfile, which reads an extended header whole, however long it claims to be."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(raw)  # type: ignore[arg-type]

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError("a header is too long")
        return super().read(size)


class _Part:
    """A part of a file, from where it stands."""

    def __init__(self, raw: io.FileIO, size: int) -> None:
        self._raw = raw
        self._left = size

    def read(self, size: int, /) -> bytes:
        piece = self._raw.read(min(size, self._left)) or b""
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._raw.close()
