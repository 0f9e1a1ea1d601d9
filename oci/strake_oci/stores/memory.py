"""Images in memory: for tests, and for images that are made up of a few small documents."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Self

from strake_oci.errors import DigestMismatchError, LayoutError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.verify import VerifyingReader, copy_checked

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from strake_oci.images import Readable
    from strake_oci.spec.digest import BytesLike


class MemoryImages:
    """Images in memory. Thread-safe; an `ImageReader` and `ImageWriter`."""

    def __init__(self) -> None:
        self._blobs: dict[Digest, bytes] = {}
        self._manifests: dict[str, Descriptor] = {}
        self._lock = threading.Lock()

    def resolve(self, name: str = "latest") -> Descriptor:
        """Return what a tag or digest names.

        Raises:
            LayoutError: Nothing has the name.
        """
        with self._lock:
            found = self._manifests.get(name)
        if found is None:
            raise LayoutError(f"no image {name!r} in memory")
        return found

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or index, checked."""
        data = self._blob(descriptor.digest)
        descriptor.check(data, what="manifest in memory")
        return data

    def open_blob(
        self, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None
    ) -> VerifyingReader:
        """Open a blob."""
        raw = io.BytesIO(self._blob(descriptor.digest))
        return VerifyingReader(raw, descriptor, f"blob {descriptor.digest} in memory", on_bytes)

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there."""
        with self._lock:
            return digest in self._blobs

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Keep a blob unless it is there; return whether it was not."""
        if self.has_blob(descriptor.digest):
            return False
        content = io.BytesIO()
        with open_source() as source:
            copy_checked(source, content.write, descriptor, on_bytes)
        self._keep(descriptor.digest, content.getvalue())
        return True

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> MemoryUpload:
        """Begin to write a blob whose digest is not known yet."""
        return MemoryUpload(self._keep, on_bytes)

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        """Keep a manifest or index, under its digest and a tag."""
        descriptor = Descriptor.of(media_type, data)
        self._keep(descriptor.digest, data)
        with self._lock:
            self._manifests[str(descriptor.digest)] = descriptor
            if tag is not None:
                self._manifests[tag] = descriptor
        return descriptor

    def _keep(self, digest: Digest, data: bytes) -> None:
        with self._lock:
            self._blobs[digest] = data

    def _blob(self, digest: Digest) -> bytes:
        with self._lock:
            data = self._blobs.get(digest)
        if data is None:
            raise LayoutError(f"no blob {digest} in memory")
        return data


class MemoryUpload:
    """A blob that is being written; see `images.Upload`."""

    def __init__(self, keep: Callable[[Digest, bytes], None], on_bytes: Callable[[int], None] | None) -> None:
        self._keep = keep
        self._on_bytes = on_bytes
        self._content = io.BytesIO()

    def write(self, data: BytesLike) -> int:
        """Take the next bytes."""
        written = self._content.write(data)
        if self._on_bytes:
            self._on_bytes(written)
        return written

    def commit(self, digest: Digest, media_type: str = "application/octet-stream") -> Descriptor:
        """Check the digest and make the blob available."""
        content = self._content.getvalue()
        if (actual := digest.of(content)) != digest:
            raise DigestMismatchError(digest, actual, what="blob")
        self._keep(digest, content)
        return Descriptor(media_type, digest, len(content))

    def cancel(self) -> None:
        """Throw away what was written."""
        self._content = io.BytesIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
