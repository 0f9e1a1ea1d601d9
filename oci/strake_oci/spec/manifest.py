"""Manifests and indexes.

Sources: OCI image-spec 1.1, manifest.md and image-index.md; Docker image manifest version 2 schema 2. `parse`
reads either family. A manifest that came from elsewhere is passed on as the bytes it came as, never
re-encoded: its digest depends on them. `serialize` is for manifests made here.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from strake_oci.errors import InvalidDocumentError, UnsupportedMediaTypeError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor, DescriptorModel
from strake_oci.spec.wire import StringMap, Text, WireModel, decode, encode, extra_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMA_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image, or one artifact.

    Attributes:
        config: Points to the image config.
        layers: Bottom first.
        media_type: OCI's or Docker's.
        annotations: Notes about the image.
        artifact_type: What an artifact is; "" for images.
        subject: The manifest that this one refers to (a signature's image).
        extra: Fields that the specification does not know.
    """

    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = mediatype.OCI_MANIFEST
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: Descriptor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def serialize(self) -> bytes:
        """Return the canonical bytes: compact, keys in the order of the specification, annotations sorted."""
        layers = [layer.to_json() for layer in self.layers]
        return _serialized(self, {"config": self.config.to_json(), "layers": layers})

    @property
    def is_image(self) -> bool:
        """Whether the config is an image config, so that the layers make up a file system."""
        return self.config.media_type in mediatype.CONFIGS and not self.artifact_type

    @property
    def references(self) -> tuple[Descriptor, ...]:
        """All that must be in a repository before this manifest: config and layers."""
        return (self.config, *self.layers)


@dataclass(frozen=True, slots=True)
class Index:
    """Several images under one name, usually one per platform.

    Attributes:
        manifests: In the order of preference.
        media_type: OCI's or Docker's ("manifest list").
        annotations: Notes about all of them.
        artifact_type: What the artifacts are; "" for images.
        subject: The manifest that this one refers to.
        extra: Fields that the specification does not know.
    """

    manifests: tuple[Descriptor, ...]
    media_type: str = mediatype.OCI_INDEX
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    subject: Descriptor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def serialize(self) -> bytes:
        """Return the canonical bytes: compact, keys in the order of the specification, annotations sorted."""
        return _serialized(self, {"manifests": [manifest.to_json() for manifest in self.manifests]})

    @property
    def references(self) -> tuple[Descriptor, ...]:
        """All that must be in a repository before this index."""
        return self.manifests


def parse(data: bytes, media_type: str = "") -> Manifest | Index:
    """Read a manifest or an index.

    Args:
        data: The document, at most `wire.MAX_MANIFEST` bytes.
        media_type: Its descriptor's or sender's media type; "" or a general one such as `application/json`
            leaves it to the document. Another one must not contradict the document, which is the confusion of
            CVE-2021-41190.

    Raises:
        UnsupportedMediaTypeError: Docker schema 1, or nothing known.
        InvalidDocumentError: It breaks its specification.
        SizeExceededError: It is too long.
    """
    if mediatype.is_schema_1(media_type):
        raise _schema_1()
    model = decode(_AnyManifestModel, data, what="manifest")
    if model.schema_version == 1:
        raise _schema_1()
    if model.schema_version != _SCHEMA_VERSION:
        raise InvalidDocumentError(
            f"manifest has schemaVersion {model.schema_version}, expected {_SCHEMA_VERSION}"
        )
    announced = "" if mediatype.names_no_document(media_type) else media_type
    if announced and model.media_type and announced != model.media_type:
        raise InvalidDocumentError(
            f"manifest was sent as {media_type!r} but says it is {model.media_type[:120]!r}",
            hint="a document that can be read in two ways is refused",
        )
    named = model.media_type or announced or _guess(model)
    subject = model.subject.to_descriptor() if model.subject else None
    rest = (named, model.annotations, model.artifact_type, subject, extra_of(model))
    if named in mediatype.INDEXES:
        if model.config is not None or model.layers is not None:
            raise InvalidDocumentError("index has the fields of an image manifest (config, layers)")
        return Index(tuple(entry.to_descriptor() for entry in model.manifests or ()), *rest)
    if named in mediatype.MANIFESTS:
        if model.manifests is not None:
            raise InvalidDocumentError("image manifest has the field of an index (manifests)")
        if model.config is None:
            raise InvalidDocumentError("image manifest has no config")
        layers = tuple(layer.to_descriptor() for layer in model.layers or ())
        return Manifest(model.config.to_descriptor(), layers, *rest)
    raise UnsupportedMediaTypeError(f"manifest of media type {named[:120]!r} is not supported")


class _AnyManifestModel(WireModel):
    """The fields of manifest.md and image-index.md together, so that a mixture is recognised."""

    schema_version: Annotated[int, Field(alias="schemaVersion")]
    media_type: Annotated[Text, Field(alias="mediaType")] = ""
    artifact_type: Annotated[Text, Field(alias="artifactType")] = ""
    config: DescriptorModel | None = None
    layers: list[DescriptorModel] | None = None
    manifests: list[DescriptorModel] | None = None
    subject: DescriptorModel | None = None
    annotations: StringMap = Field(default_factory=dict)


def _guess(model: _AnyManifestModel) -> str:
    # OCI 1.0 made `mediaType` optional, and a layout may hold such a manifest.
    if model.config is not None:
        return mediatype.OCI_MANIFEST
    return mediatype.OCI_INDEX if model.manifests is not None else ""


def _serialized(manifest: Manifest | Index, content: dict[str, Any]) -> bytes:
    """Return the bytes of a document: its content stands between the fields that both kinds have."""
    document: dict[str, Any] = {"schemaVersion": _SCHEMA_VERSION, "mediaType": manifest.media_type}
    if manifest.artifact_type:
        document["artifactType"] = manifest.artifact_type
    document |= content
    if manifest.subject is not None:
        document["subject"] = manifest.subject.to_json()
    if manifest.annotations:
        document["annotations"] = dict(sorted(manifest.annotations.items()))
    return encode({**document, **manifest.extra})


def _schema_1() -> UnsupportedMediaTypeError:
    return UnsupportedMediaTypeError(
        "the image has a Docker manifest version 2 schema 1, a format withdrawn in 2019",
        hint="push it again with a current tool",
    )
