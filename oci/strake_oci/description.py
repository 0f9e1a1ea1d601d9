"""What an image is, as a JSON document for people and programs: platforms, configuration, layers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from strake_oci.errors import InvalidDocumentError
from strake_oci.selection import (
    ATTESTATION_NOTE,
    FoundManifest,
    read_image_config,
    read_manifest,
)
from strake_oci.spec.manifest import Index, Manifest

if TYPE_CHECKING:
    from strake_oci.images import ImageReader
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.image import ImageConfig

_MAX_IMAGES: Final = 200
"""Of one index; real ones have at most some thirty."""


def describe(source: ImageReader, found: FoundManifest) -> dict[str, Any]:
    """Return what an image or an index is. Layers are not read.

    Keys are `digest`, `mediaType`, `size` (bytes of layers and configs, each counted once), `annotations`,
    `platforms`, `images`: each with `digest`, `mediaType`, `size`, `platform`, `annotations`, `config` as the
    image's config document has it, `created`, `layers`; of artifacts `artifactType`, and no config. Images in
    an index that attest something are `attestations`, by digest.

    Raises:
        OCIError: Something of it cannot be read, or it lists too much.
    """
    entries = [found.descriptor]
    attestations: list[str] = []
    annotations = dict(found.document.annotations)
    if isinstance(found.document, Index):
        listed = found.document.manifests
        if len(listed) > _MAX_IMAGES:
            raise InvalidDocumentError(
                f"index {found.descriptor.digest} lists more than {_MAX_IMAGES} images"
            )
        attestations = [str(entry.digest) for entry in listed if ATTESTATION_NOTE in entry.annotations]
        entries = [entry for entry in listed if ATTESTATION_NOTE not in entry.annotations]
    blobs: dict[str, int] = {}
    images = []
    for entry in entries:
        image = found if entry is found.descriptor else read_manifest(source, entry)
        if isinstance(image.document, Manifest):
            blobs |= {str(blob.digest): blob.size for blob in image.document.references}
            images.append(_image(source, entry, image.document))
        else:
            images.append({"digest": str(entry.digest), "mediaType": image.document.media_type})
    return {
        "digest": str(found.descriptor.digest),
        "mediaType": found.document.media_type,
        "size": sum(blobs.values()),
        "annotations": annotations,
        "platforms": [image["platform"] for image in images if image.get("platform")],
        "images": images,
        "attestations": attestations,
    }


def _image(source: ImageReader, entry: Descriptor, manifest: Manifest) -> dict[str, Any]:
    described: dict[str, Any] = {"digest": str(entry.digest), "mediaType": manifest.media_type}
    described["size"] = sum(blob.size for blob in manifest.references)
    config: ImageConfig | None = None
    if manifest.is_image:
        config = read_image_config(source, manifest.config)
        described["platform"] = str(entry.platform or config.platform)
        described["created"] = config.created
        described["config"] = json.loads(config.serialize()).get("config", {})
        described["history"] = [each.created_by for each in config.history if each.created_by]
    else:
        described["artifactType"] = manifest.artifact_type or manifest.config.media_type
    described["annotations"] = {**manifest.annotations}
    described["layers"] = [layer.to_json() for layer in manifest.layers]
    return described
