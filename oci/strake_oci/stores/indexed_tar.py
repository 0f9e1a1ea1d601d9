"""A tar file whose members are read at their offsets, without unpacking it.

The tar is scanned once. It may come from anyone: the number of entries and the size of their headers are
limited, and names only select, they never become paths.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from strake_oci.errors import LayoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_ENTRIES: Final = 20_000
_MAX_HEADER: Final = 1024 * 1024
_MAX_LINKS: Final = 8


class IndexedTar:
    """An uncompressed tar. Thread-safe.

    Args:
        path: The file.

    Raises:
        LayoutError: It cannot be read, or is no tar.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        try:
            with self.path.open("rb") as raw, tarfile.open(fileobj=_ShortReads(raw), mode="r:") as tar:
                self._scan(tar)
        except OSError as error:
            raise LayoutError(f"{self.path} cannot be read: {error.strerror}") from error
        except tarfile.TarError as error:
            raise LayoutError(
                f"{self.path} is no tar: {error}", hint="a compressed one must be unpacked first"
            ) from error

    def _scan(self, tar: tarfile.TarFile) -> None:
        for count, entry in enumerate(tar):
            if count >= _MAX_ENTRIES:
                raise LayoutError(f"{self.path} has more than {_MAX_ENTRIES} entries")
            name = posixpath.normpath(entry.name)
            if entry.isreg():
                self._members[name] = (entry.offset_data, entry.size)
            elif entry.issym():
                self._links[name] = posixpath.normpath(
                    posixpath.join(posixpath.dirname(name), entry.linkname)
                )
            elif entry.islnk():
                self._links[name] = posixpath.normpath(entry.linkname)

    def __contains__(self, name: str) -> bool:
        return self._member(name) is not None

    def size(self, name: str) -> int:
        """Return the length of an entry in bytes.

        Raises:
            LayoutError: There is no such entry.
        """
        return self._found(name)[1]

    def open(self, name: str) -> Part:
        """Open an entry, or what it links to.

        Raises:
            LayoutError: There is no such entry, or the file cannot be read.
        """
        offset, size = self._found(name)
        try:
            raw = self.path.open("rb", buffering=0)
            raw.seek(offset)
        except OSError as error:
            raise LayoutError(f"{self.path} cannot be read: {error.strerror}") from error
        return Part(raw, size)

    def _found(self, name: str) -> tuple[int, int]:
        member = self._member(name)
        if member is None:
            raise LayoutError(f"{self.path} holds no {name}")
        return member

    def _member(self, name: str) -> tuple[int, int] | None:
        name = posixpath.normpath(name)
        for _ in range(_MAX_LINKS):
            if name in self._members:
                return self._members[name]
            name = self._links.get(name, "")
        return None


class _ShortReads(io.BufferedReader):
    """A file for tarfile, which reads an extended header whole, however long it claims to be."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__(raw)  # type: ignore[arg-type] # typeshed: of a raw stream it asks more than io does

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= _MAX_HEADER:
            raise tarfile.ReadError("a header is too long")
        return super().read(size)


class Part:
    """A part of a file, from where it stands."""

    def __init__(self, raw: io.FileIO, size: int) -> None:
        self._raw = raw
        self._left = size

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and b"" at the end."""
        piece = self._raw.read(min(size, self._left)) or b""
        self._left -= len(piece)
        return piece

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield the rest, so many bytes at a time."""
        return iter(lambda: self.read(size), b"")

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
