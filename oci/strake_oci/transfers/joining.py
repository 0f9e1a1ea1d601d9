"""Images of several platforms become one index, though each was built elsewhere.

As with `docker buildx imagetools create`, the images of an index that is named are entries of the new one,
with the manifests of their attestations, and the index is one of Docker's where all entries are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_oci.errors import InvalidDocumentError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.selection import ATTESTATION_NOTE, read_image_config, read_manifest
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from strake_oci.images import ImageReader
    from strake_oci.selection import FoundManifest
    from strake_oci.spec.platform import Platform

MAX_ENTRIES: Final = 256
"""Of an index that is made: images and their attestations. Real ones have some thirty."""


@dataclass(frozen=True, slots=True)
class NamedEntries:
    """What a name brings to an index.

    Attributes:
        name: Of an image or index, for messages.
        entries: One with a platform for each image, and those of attestations as they are.
    """

    name: str
    entries: tuple[Descriptor, ...]


def entries_of(source: ImageReader, name: str, found: FoundManifest) -> NamedEntries:
    """Return what an image, or each image of an index, is as an entry of an index.

    Args:
        source: Has the image.
        name: See `NamedEntries`.
        found: Its manifest or index.

    Raises:
        InvalidDocumentError: It is an artifact and no image, an index in an index, an image whose config
            tells no platform, or too many.
        OCIError: A manifest or config cannot be read.
    """
    if isinstance(found.document, Manifest):
        return NamedEntries(name, (_entry(source, name, found),))
    listed = found.document.manifests
    if len(listed) > MAX_ENTRIES:
        raise InvalidDocumentError(f"the index {name} lists more than {MAX_ENTRIES} images")
    return NamedEntries(
        name,
        tuple(
            entry
            if entry.platform is not None or ATTESTATION_NOTE in entry.annotations
            else _entry(source, f"{name} (its entry {entry.digest})", read_manifest(source, entry))
            for entry in listed
        ),
    )


def join_images(images: Sequence[NamedEntries], annotations: Mapping[str, str]) -> Index:
    """Return the index of several images, in their order.

    Args:
        images: Each platform is there once.
        annotations: Of the index. Docker's have none: with some it is OCI's.

    Raises:
        InvalidDocumentError: Two images are for one platform, or there are none, or too many.
    """
    entries: dict[tuple[object, ...], Descriptor] = {}
    named: dict[Platform, tuple[str, Descriptor]] = {}
    for image in images:
        for entry in image.entries:
            if ATTESTATION_NOTE not in entry.annotations and entry.platform is not None:
                _only_one(named, entry.platform.normalized(), image.name, entry)
            entries.setdefault((entry.digest, entry.platform, *entry.annotations.items()), entry)
    if not named:
        raise InvalidDocumentError("there is no image to make an index of")
    if len(entries) > MAX_ENTRIES:
        raise InvalidDocumentError(f"an index of more than {MAX_ENTRIES} images is too long")
    manifests = tuple(entries.values())
    is_docker = not annotations and all(each.media_type == mediatype.DOCKER_MANIFEST for each in manifests)
    media_type = mediatype.DOCKER_INDEX if is_docker else mediatype.OCI_INDEX
    return Index(manifests, media_type, annotations)


def _only_one(
    named: dict[Platform, tuple[str, Descriptor]], platform: Platform, name: str, entry: Descriptor
) -> None:
    first, other = named.setdefault(platform, (name, entry))
    if other.digest != entry.digest:
        raise InvalidDocumentError(
            f"{first} and {name} are both for {platform}, and an index has one image for a platform",
            hint="name images that were built for different platforms (strake inspect IMAGE shows it)",
        )


def _entry(source: ImageReader, name: str, found: FoundManifest) -> Descriptor:
    """Return an image's entry, with the platform of its config."""
    manifest = found.document
    if not isinstance(manifest, Manifest):
        raise InvalidDocumentError(f"{name} is an index in an index", hint="name its images instead")
    if not manifest.is_image:
        kind = manifest.artifact_type or manifest.config.media_type
        raise InvalidDocumentError(f"{name} is no image: it is an artifact of type {kind[:120]!r}")
    platform = read_image_config(source, manifest.config).platform
    if not platform.os or not platform.architecture:
        raise InvalidDocumentError(
            f"the config of {name} does not tell its platform", hint="build it again with --platform OS/ARCH"
        )
    described = found.descriptor
    return Descriptor(described.media_type, described.digest, described.size, platform=platform)
