"""The index of the images that a build made for several platforms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from strake_oci.attestations import attested_index
from strake_oci.transfers.joining import NamedEntries, join_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_builder.solve.image import Made
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.manifest import Index


def make_index(made: Sequence[Made]) -> Index | None:
    """Return the index of images for several platforms, in the order of the request.

    Attestations that were to be in an index are in this one, as BuildKit has them: each tells of which image.

    Args:
        made: what was made for each platform.

    Returns:
        The index; None where there are no images, only files.
    """
    named = [NamedEntries(str(each.requested.platform), _entries(each)) for each in made if each.image]
    return join_images(named, made[0].requested.request.output.annotations) if named else None


def attestations_of(made: Sequence[Made]) -> list[Digest]:
    """Return the attestations that every destination took of the images of an index."""
    images = [each.image for each in made if each.image is not None and each.image.attested]
    return [each.attestation.descriptor.digest for each in images if each.attestation is not None]


def _entries(made: Made) -> tuple[Descriptor, ...]:
    image, platform = made.image, made.requested.platform
    if image is None:
        return ()
    attestation = image.attestation if image.attested else None
    if attestation is None or attestation.index is None:
        return (replace(image.descriptor, platform=platform),)
    return attested_index(image.descriptor, platform, attestation.descriptor).manifests
