"""The layers of an image under construction: pulled with the base, or made by a step."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from strake_oci.descriptor import Descriptor
from strake_oci.digest import DiffID
from strake_oci.reference import Repository


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
    """The blob that a step's changes became.

    Attributes:
        descriptor: of the blob.
        diff_id: digest of its tar stream.
        uncompressed_size: bytes of its tar stream.
        path: the file that holds the blob.
    """

    descriptor: Descriptor
    diff_id: DiffID
    uncompressed_size: int
    path: str


@dataclass(frozen=True, slots=True)
class StepLayer:
    """What a step changed.

    Attributes:
        directory: overlay's upper directory; it is read, never written to, from now on.
        blob: its blob, when it is written; None where nothing changed. A stage whose layers are in
            no image has no blobs, and this is None itself.
    """

    directory: str
    blob: Future[WrittenLayer | None] | None


ImageLayer = PulledLayer | StepLayer
