"""A repository of a registry as an image store (`images.ImageReader` and `ImageWriter`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.errors import SizeMismatchError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import Reference, Repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from strake_oci.images import Readable
    from strake_oci.registry.blobs.download import BlobReader
    from strake_oci.registry.blobs.stream import BlobUpload
    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class RegistryImages:
    """The images of a repository. Thread-safe.

    Attributes:
        client: Talks to the registry; not closed here.
        repository: Which.
        mount_from: A repository of the same registry that may have blobs which are pushed here.
    """

    client: RegistryClient
    repository: Repository
    mount_from: Repository | None = None

    def resolve(self, name: str = "") -> Descriptor:
        """Return what a tag or digest names; `latest` without a name."""
        text = f"{self.repository}@{name}" if ":" in name else f"{self.repository}:{name or 'latest'}"
        return self.client.resolve(Reference.parse(text))

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or index, checked."""
        data = self.client.manifest(self.repository, descriptor.digest)[1]
        if len(data) != descriptor.size:
            raise SizeMismatchError(
                f"manifest {descriptor.digest} in {self.repository} has {len(data)} bytes, "
                f"expected {descriptor.size}"
            )
        return data

    def open_blob(self, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None) -> BlobReader:
        """Open a blob; reading to the end proves its content."""
        return self.client.open_blob(self.repository, descriptor, on_bytes)

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there."""
        return self.client.blob_exists(self.repository, digest)

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Push a blob unless it is there or can be mounted; return whether bytes were sent."""
        return self.client.push_blob(self.repository, descriptor, open_source, on_bytes, self.mount_from)

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> BlobUpload:
        """Begin to push a blob whose digest is not known yet."""
        return self.client.start_upload(self.repository, on_bytes)

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        """Push a manifest or index, under a tag or by digest only."""
        return self.client.push_manifest(Reference(self.repository, tag), data, media_type)
