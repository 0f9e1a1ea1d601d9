"""Reading an OCI image layout that is kept in a tar file, without unpacking it.

The tar is scanned once for the offsets of its members; blobs are then read at them. It may come from
anyone: the number of entries and the size of their headers are limited, and names only select, they never
become paths.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

from strake_oci.errors import LayoutError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index, parse
from strake_oci.spec.wire import MAX_MANIFEST
from strake_oci.stores import layout_index
from strake_oci.stores.layout_index import MARKER
from strake_oci.verify import VerifyingReader

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_ENTRIES: Final = 20_000
_MAX_HEADER: Final = 1024 * 1024


class LayoutArchive:
    """An image layout in an uncompressed tar. Thread-safe; an `ImageReader`.

    Args:
        path: The file.

    Raises:
        LayoutError: It cannot be read, or is no image layout in a tar.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._members = self._scan()
        if MARKER not in self._members:
            raise LayoutError(f"{self.path} is no OCI image layout: it holds no {MARKER}")

    def resolve(self, name: str = "") -> Descriptor:
        """Return what a tag, full reference or digest names; without a name, the only image there is.

        Raises:
            LayoutError: There is none, or several and no name.
        """
        found = layout_index.find(self.index(), name, str(self.path))
        if isinstance(found, Descriptor):
            return found
        data = self._read(f"blobs/{found.algorithm}/{found.encoded}")
        return Descriptor(parse(data).media_type, found, len(data))

    def index(self) -> Index:
        """Return `index.json`.

        Raises:
            LayoutError: There is none.
            InvalidDocumentError: It is no index.
        """
        document = parse(self._read("index.json"), mediatype.OCI_INDEX)
        if not isinstance(document, Index):
            raise LayoutError(f"{self.path}: index.json is no index")
        return document

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or index, checked.

        Raises:
            LayoutError: It is not there.
            DigestMismatchError, SizeMismatchError: It is not what the descriptor says.
        """
        data = self._read(f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.encoded}")
        descriptor.check(data, what=f"manifest in {self.path}")
        return data

    def open_blob(
        self, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None
    ) -> VerifyingReader:
        """Open a blob; reading to the end proves its content.

        Raises:
            LayoutError: It is not there.
            DigestMismatchError, SizeExceededError, SizeMismatchError: While reading: it is not what it should
            be.
        """
        raw = self._open(f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.encoded}")
        return VerifyingReader(raw, descriptor, f"blob {descriptor.digest} in {self.path}", on_bytes)

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

    def _read(self, name: str) -> bytes:
        with contextlib.closing(self._open(name)) as file:
            data = file.read(MAX_MANIFEST + 1)
        if len(data) > MAX_MANIFEST:
            raise LayoutError(f"{name} in {self.path} is longer than {MAX_MANIFEST} bytes")
        return data


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
