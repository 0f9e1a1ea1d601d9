"""What every store is written with: all follows from writing one blob, and from listing a manifest."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from strake_oci.spec.descriptor import Descriptor
from strake_oci.verify import CountedOnce, copy_checked, despite_mirrors

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from strake_oci.images import Readable
    from strake_oci.spec.digest import Digest
    from strake_oci.stores.file_upload import FileUpload


class StoreWriter(ABC):
    """A store to write to; an `ImageWriter`."""

    @abstractmethod
    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there."""

    @abstractmethod
    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> FileUpload:
        """Begin to write a blob whose digest is not known yet."""

    @abstractmethod
    def _list(self, descriptor: Descriptor, data: bytes, tag: str) -> None:
        """Let a tag point to a manifest that was written, and to nothing else."""

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Write a blob unless it is there; return whether bytes were written.

        Raises:
            LayoutError: The store cannot be written.
            DigestMismatchError, SizeExceededError, SizeMismatchError: The source is not what it should be.
        """
        if self.has_blob(descriptor.digest):
            return False
        counted = CountedOnce(on_bytes)
        despite_mirrors(lambda: self._copy(descriptor, open_source, counted.from_start()))
        return True

    def _copy(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None],
    ) -> None:
        with self.start_upload() as upload, open_source() as source:
            copy_checked(source, upload.write, descriptor, on_bytes)
            upload.commit(descriptor.digest)

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        """Write a manifest or index; with a tag, list it in the place of what had the tag.

        Raises:
            LayoutError: The store cannot be written, or cannot list this.
        """
        descriptor = Descriptor.of(media_type, data)
        self.push_blob(descriptor, lambda: io.BytesIO(data))
        if tag is not None:
            self._list(descriptor, data, tag)
        return descriptor
