"""Artifacts: manifests that carry something else than an image.

Source: image-spec 1.1, manifest.md, "Guidelines for Artifact Usage". Signatures, SBOMs and provenance are
artifacts whose `subject` is the image they are about.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

EMPTY_CONTENT: Final = b"{}"
"""What the empty descriptor points to."""

EMPTY: Final = Descriptor.of(mediatype.OCI_EMPTY, EMPTY_CONTENT)
"""The descriptor that stands for "nothing" where one is required (manifest.md, "Guidance for an Empty
Descriptor").
"""


def make_artifact(
    artifact_type: str,
    layers: tuple[Descriptor, ...] = (),
    *,
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Return the manifest of an artifact.

    `EMPTY_CONTENT` must be pushed like any blob before it.

    Args:
        artifact_type: What it is, as a media type.
        layers: Its content; without any, the empty descriptor takes the place.
        subject: What it is about.
        annotations: Notes.

    Raises:
        InvalidDocumentError: There is no artifact type.
    """
    if "/" not in artifact_type:
        raise InvalidDocumentError(f"{artifact_type[:80]!r} is not the media type of an artifact")
    about = None
    if subject is not None:
        about = Descriptor(subject.media_type, subject.digest, subject.size)
    return Manifest(
        EMPTY,
        layers or (EMPTY,),
        annotations=dict(annotations or {}),
        artifact_type=artifact_type,
        subject=about,
    )
