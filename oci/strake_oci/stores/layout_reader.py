"""What every image layout is read with, wherever its files are kept: all follows from opening one of them."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from strake_oci.errors import LayoutError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index, parse
from strake_oci.spec.wire import MAX_MANIFEST
from strake_oci.stores import layout_index
from strake_oci.stores.layout_index import blob_path
from strake_oci.verify import VerifyingReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.verify import Source


class LayoutReader(ABC):
    """An image layout to read from; an `ImageReader`.

    Args:
        title: Names it in errors.
    """

    def __init__(self, title: str) -> None:
        self._title = title

    @abstractmethod
    def _open(self, name: str) -> Source:
        """Open a file of the layout, such as "index.json".

        Raises:
            LayoutError: It is not there, or cannot be opened.
        """

    def resolve(self, name: str = "") -> Descriptor:
        """Return what a tag, full reference or digest names; without a name, the only image there is.

        Raises:
            LayoutError: There is none, or several and no name.
        """
        found = layout_index.find(self.index(), name, self._title)
        if isinstance(found, Descriptor):
            return found
        data = self._read(blob_path(found))
        return Descriptor(parse(data).media_type, found, len(data))

    def index(self) -> Index:
        """Return `index.json`.

        Raises:
            LayoutError: It cannot be read.
            InvalidDocumentError: It is no index.
        """
        document = parse(self._read("index.json"), mediatype.OCI_INDEX)
        if not isinstance(document, Index):
            raise LayoutError(f"{self._title}: index.json is no index")
        return document

    def tags(self) -> tuple[str, ...]:
        """Return the names in `index.json`, in its order."""
        return tuple(
            dict.fromkeys(name for entry in self.index().manifests for name in layout_index.names(entry))
        )

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or index, checked.

        Raises:
            LayoutError: It is not there.
            DigestMismatchError, SizeMismatchError: It is not what the descriptor says.
        """
        data = self._read(blob_path(descriptor.digest))
        descriptor.check(data, what=f"manifest in {self._title}")
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
        raw = self._open(blob_path(descriptor.digest))
        return VerifyingReader(raw, descriptor, f"blob {descriptor.digest} in {self._title}", on_bytes)

    def _read(self, name: str, limit: int = MAX_MANIFEST) -> bytes:
        """Return a document of the layout, of so many bytes at the most."""
        with contextlib.closing(self._open(name)) as file:
            try:
                data = file.read(limit + 1) or b""
            except OSError as error:
                raise LayoutError(f"{self._title}: {name}: {error.strerror}") from error
        if len(data) > limit:
            raise LayoutError(f"{self._title}: {name} is longer than {limit} bytes")
        return data
