"""Descriptors: a typed, sized, verified pointer to content (OCI image-spec 1.1, descriptor.md)."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from strake_oci.errors import DigestMismatchError, InvalidDocumentError, SizeMismatchError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import Platform
from strake_oci.spec.wire import MediaType, Size, StringMap, Strings, Text, WireModel, extra_of

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Points to content.

    Attributes:
        media_type: What the content is.
        digest: Its name.
        size: Its length in bytes.
        urls: Where else it can be fetched.
        annotations: Notes that travel with the pointer.
        platform: What an image runs on; only in an index.
        artifact_type: What an artifact manifest is about; only in an index.
        extra: Fields that the specification does not know, kept as they came.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    artifact_type: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    @classmethod
    def of(cls, media_type: str, data: bytes) -> Descriptor:
        """Return the descriptor of some bytes."""
        return cls(media_type, Digest.sha256(data), len(data))

    def check(self, data: bytes, *, what: str = "content") -> None:
        """Make sure that the bytes are what this descriptor points to.

        Raises:
            SizeMismatchError: Another length.
            DigestMismatchError: Another digest.
        """
        if len(data) != self.size:
            raise SizeMismatchError(f"{what} {self.digest} has {len(data)} bytes, expected {self.size}")
        actual = self.digest.of(data)
        if actual != self.digest:
            raise DigestMismatchError(self.digest, actual, what=what)

    def to_json(self) -> dict[str, Any]:
        """Return the wire form, empty fields left out."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
        }
        if self.urls:
            document["urls"] = list(self.urls)
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.platform is not None:
            document["platform"] = platform_to_json(self.platform)
        return {**document, **self.extra}


class PlatformModel(WireModel):
    """image-index.md, `platform`."""

    architecture: Text = ""
    os: Text = ""
    os_version: Annotated[Text, Field(alias="os.version")] = ""
    os_features: Annotated[Strings, Field(alias="os.features")] = Field(default_factory=list)
    variant: Text = ""


class DescriptorModel(WireModel):
    """descriptor.md, `Properties`."""

    media_type: Annotated[MediaType, Field(alias="mediaType")]
    digest: str
    size: Size
    urls: Strings = Field(default_factory=list)
    annotations: StringMap = Field(default_factory=dict)
    platform: PlatformModel | None = None
    artifact_type: Annotated[Text, Field(alias="artifactType")] = ""

    def to_descriptor(self) -> Descriptor:
        """Return the frozen form.

        Raises:
            InvalidDocumentError: The digest is none.
        """
        try:
            digest = Digest.parse(self.digest)
        except ValueError as error:
            raise InvalidDocumentError(f"descriptor is not valid: {error}") from error
        wire = self.platform
        platform = None
        if wire is not None and (wire.os or wire.architecture):
            platform = Platform(
                wire.os, wire.architecture, wire.variant, wire.os_version, tuple(wire.os_features)
            )
        return Descriptor(
            self.media_type,
            digest,
            self.size,
            tuple(self.urls),
            self.annotations,
            platform,
            self.artifact_type,
            extra_of(self),
        )


def platform_to_json(platform: Platform) -> dict[str, Any]:
    """Return the wire form of a platform, as index descriptors and image configs carry it."""
    document: dict[str, Any] = {"architecture": platform.architecture, "os": platform.os}
    if platform.os_version:
        document["os.version"] = platform.os_version
    if platform.os_features:
        document["os.features"] = list(platform.os_features)
    if platform.variant:
        document["variant"] = platform.variant
    return document
