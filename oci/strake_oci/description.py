"""What an image is, as a JSON document for people and programs: platforms, configuration, layers."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from strake_oci.errors import InvalidDocumentError
from strake_oci.selection import FoundManifest, ImageSelection, read_config
from strake_oci.spec.manifest import Index, Manifest, parse

if TYPE_CHECKING:
    from strake_oci.images import ImageReader
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.image import ImageConfig
    from strake_oci.spec.platform import Platform

_MAX_IMAGES: Final = 200
"""Of one index; real ones have at most some thirty."""
_ATTESTATION: Final = "vnd.docker.reference.type"


def find_manifest(source: ImageReader, name: str, platform: Platform | None = None) -> FoundManifest:
    """Return the manifest or index of a name; with a platform, the image of an index that is for it.

    Raises:
        PlatformNotFoundError: The index has none.
        OCIError: It cannot be read.
    """
    top = _read(source, source.resolve(name))
    if platform is None:
        return top
    return ImageSelection(platform, partial(_read, source), partial(_config, source)).find(top)


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
        attestations = [str(entry.digest) for entry in listed if _ATTESTATION in entry.annotations]
        entries = [entry for entry in listed if _ATTESTATION not in entry.annotations]
    blobs: dict[str, int] = {}
    images = []
    for entry in entries:
        image = found if entry is found.descriptor else _read(source, entry)
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
        config = _config(source, manifest.config)
        described["platform"] = str(entry.platform or config.platform)
        described["created"] = config.created
        described["config"] = json.loads(config.serialize()).get("config", {})
        described["history"] = [each.created_by for each in config.history if each.created_by]
    else:
        described["artifactType"] = manifest.artifact_type or manifest.config.media_type
    described["annotations"] = {**manifest.annotations}
    described["layers"] = [layer.to_json() for layer in manifest.layers]
    return described


def _read(source: ImageReader, descriptor: Descriptor) -> FoundManifest:
    data = source.manifest(descriptor)
    return FoundManifest(descriptor, data, parse(data, descriptor.media_type))


def _config(source: ImageReader, descriptor: Descriptor) -> ImageConfig:
    with source.open_blob(descriptor) as blob:
        return read_config(blob)
