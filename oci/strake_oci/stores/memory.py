"""Images in memory: for tests, and for images that are made up of a few small documents."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, BinaryIO, Final

from strake_oci.errors import LayoutError
from strake_oci.spec.manifest import Index
from strake_oci.stores import layout_index
from strake_oci.stores.file_upload import FileUpload
from strake_oci.stores.image_writer import StoreWriter
from strake_oci.stores.layout_index import blob_path
from strake_oci.stores.layout_reader import LayoutReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest

_TITLE: Final = "memory"


class MemoryImages(LayoutReader, StoreWriter):
    """An image layout whose files are in memory. Thread-safe; an `ImageReader` and `ImageWriter`."""

    def __init__(self) -> None:
        super().__init__(_TITLE)
        self._files = {"index.json": Index(()).serialize()}
        self._lock = threading.RLock()

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there."""
        with self._lock:
            return blob_path(digest) in self._files

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> FileUpload:
        """Begin to write a blob whose digest is not known yet."""
        return FileUpload(io.BytesIO(), self._keep, _TITLE, on_bytes=on_bytes)

    def _keep(self, file: BinaryIO, descriptor: Descriptor) -> None:
        with self._lock:
            self._files[blob_path(descriptor.digest)] = file.read()

    def _list(self, descriptor: Descriptor, data: bytes, tag: str) -> None:
        del data  # the index tells all
        with self._lock:
            index = layout_index.named(self.index(), descriptor, tag)
            self._files["index.json"] = index.serialize()

    def _open(self, name: str) -> io.BytesIO:
        with self._lock:
            data = self._files.get(name)
        if data is None:
            raise LayoutError(f"there is no {name} in memory")
        return io.BytesIO(data)
