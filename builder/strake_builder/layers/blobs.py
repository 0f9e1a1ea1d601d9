"""Where a layer's blob lies: in a registry, or in a file."""

from __future__ import annotations

from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID
from strake_oci.spec.reference import Repository


@dataclass(frozen=True, slots=True)
class PulledLayer:
    """A layer that a registry has.

    Attributes:
        descriptor: of the blob.
        diff_id: digest of its tar stream, as the image's config says.
        repository: where the blob is.
    """

    descriptor: Descriptor
    diff_id: DiffID
    repository: Repository


@dataclass(frozen=True, slots=True)
class WrittenLayer:
    """A layer whose blob is in a file: the changes of a step, or an entry of the local cache.

    Attributes:
        descriptor: of the blob.
        diff_id: digest of its tar stream.
        path: the file that holds the blob.
    """

    descriptor: Descriptor
    diff_id: DiffID
    path: str


StoredLayer = PulledLayer | WrittenLayer
