"""What is pushed with an image and lies beside it, or in an index with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.attestations import (
    AttestationForm,
    attestation_manifest,
    attested_index,
    statement_layer,
)
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT
from strake_oci.spec.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_oci.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class Attached:
    """An attestation of an image, ready to be written somewhere.

    Attributes:
        descriptor: of its manifest.
        manifest: its manifest, as bytes.
        blobs: what the manifest refers to.
        index: what the image's names point to in place of the image; None where it lies beside it.
        required: where a registry does not take it, that is a failure and no warning.
    """

    descriptor: Descriptor
    manifest: bytes
    blobs: tuple[tuple[Descriptor, bytes], ...]
    index: bytes | None = None
    required: bool = True


def attached(
    image: Descriptor,
    platform: Platform,
    statements: Sequence[tuple[str, bytes]],
    form: AttestationForm,
    *,
    required: bool = True,
) -> Attached:
    """Return statements about an image as they lie with it.

    Args:
        image: what they are about.
        platform: that the image is for.
        statements: the predicate type and the content of each; at least one.
        form: where they are to lie.
        required: see `Attached`.
    """
    blobs = tuple((statement_layer(content, kind), content) for kind, content in statements)
    manifest = attestation_manifest(image, tuple(layer for layer, _ in blobs), form).serialize()
    descriptor = Descriptor.of(mediatype.OCI_MANIFEST, manifest)
    index = None
    if form is AttestationForm.INDEX:
        index = attested_index(image, platform, descriptor).serialize()
    return Attached(descriptor, manifest, ((EMPTY, EMPTY_CONTENT), *blobs), index, required)
