"""The document of a cache entry: an OCI artifact manifest, in a registry and in a directory alike.

Its layer is the step's own layer blob under its ordinary media type (the empty descriptor for a step that
changed nothing), so that registries keep, mount and collect it like any other. What a manifest has no
field for is in annotations.

Source: image-spec 1.1, manifest.md, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime
from typing import Final

from strake_builder.cache.keys import Key
from strake_oci.errors import InvalidDigestError, OCIError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from strake_oci.spec.image import timestamp
from strake_oci.spec.manifest import Manifest, parse

ARTIFACT_TYPE: Final = "application/vnd.strake.cached-step.v1"
CREATED: Final = "org.opencontainers.image.created"
DIFF_ID: Final = "dev.strake.cache.diff-id"
KEYS: Final = "dev.strake.cache.keys"
OUTLINE: Final = "dev.strake.cache.outline"


class UnsoundEntryError(Exception):
    """A document that is no entry, or not the one that was asked for; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says.

    Attributes:
        layer: descriptor and diff ID; None for a step that changed nothing.
        created: when the step ended, in UTC.
        outline: as in `CachedStep`.
    """

    layer: tuple[Descriptor, DiffID] | None
    created: datetime
    outline: bytes | None = None


def write_entry(entry: Entry, keys: tuple[Key, ...]) -> Manifest:
    """Return the manifest of an entry that is kept under some keys."""
    annotations = {CREATED: timestamp(entry.created), KEYS: ",".join(key.hex for key in keys)}
    if entry.outline is not None:
        annotations[OUTLINE] = b64encode(entry.outline).decode()
    if entry.layer is None:
        return make_artifact(ARTIFACT_TYPE, annotations=annotations)
    descriptor, diff_id = entry.layer
    annotations[DIFF_ID] = str(diff_id)
    return make_artifact(ARTIFACT_TYPE, (descriptor,), annotations=annotations)


def read_entry(data: bytes, key: Key, media_type: str = "") -> Entry:
    """Read the manifest that was found under a key.

    Raises:
        UnsoundEntryError: it is something else, of another key, or damaged.
    """
    try:
        manifest = parse(data, media_type)
    except OCIError as error:
        raise UnsoundEntryError(error.message) from error
    if not isinstance(manifest, Manifest) or manifest.artifact_type != ARTIFACT_TYPE:
        raise UnsoundEntryError("it is no cached step")
    if key.hex not in manifest.annotations.get(KEYS, "").split(","):
        raise UnsoundEntryError("it belongs to another key")
    if len(manifest.layers) != 1:
        raise UnsoundEntryError(f"it has {len(manifest.layers)} layers")
    created = read_timestamp(manifest.annotations.get(CREATED, ""))
    return Entry(_layer(manifest), created, _outline(manifest))


def _outline(manifest: Manifest) -> bytes | None:
    text = manifest.annotations.get(OUTLINE)
    try:
        return None if text is None else b64decode(text, validate=True)
    except ValueError as error:
        raise UnsoundEntryError(f"its outline is none: {error}") from error


def _layer(manifest: Manifest) -> tuple[Descriptor, DiffID] | None:
    layer = manifest.layers[0]
    if layer.media_type == mediatype.OCI_EMPTY:
        if layer.digest != EMPTY.digest:
            raise UnsoundEntryError("its empty layer is not empty")
        return None
    if mediatype.layer_compression(layer.media_type) is None:
        raise UnsoundEntryError(f"its layer is of the kind {layer.media_type[:80]}")
    try:
        return layer, DiffID(Digest.parse(manifest.annotations.get(DIFF_ID, "")))
    except InvalidDigestError as error:
        raise UnsoundEntryError(f"its diff ID is none: {error.message}") from error


def read_timestamp(text: str) -> datetime:
    """Read a time in RFC 3339.

    Raises:
        UnsoundEntryError: it is something else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnsoundEntryError(f"its time {text[:40]!r} is none") from error
    if moment.tzinfo is None:
        raise UnsoundEntryError(f"its time {text[:40]!r} has no zone")
    return moment.astimezone(UTC)
