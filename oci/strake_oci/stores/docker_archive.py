"""Reading what `docker save` wrote before Docker 25, and what kaniko, skopeo, Jib and Bazel write alike.

Such an archive has configs and layers, and `manifest.json`, which tells what belongs together, but no
manifest with digests. That is made here, as OCI's, from the files as they are: a layer that is not compressed
stays as it is. So the digest depends on nothing but the archive.

Source: moby, "image/spec/v1.2.md", "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from strake_oci.errors import InvalidReferenceError, LayoutError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.reference import Reference
from strake_oci.spec.wire import MAX_CONFIG, MAX_MANIFEST
from strake_oci.verify import PIECE, VerifyingReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.stores.indexed_tar import IndexedTar

LIST: Final = "manifest.json"
"""The file that makes a tar such an archive."""
_MAX_LAYERS: Final = 1000
_MAGIC: Final = {
    b"\x1f\x8b": mediatype.OCI_LAYER_GZIP,
    b"\x28\xb5\x2f\xfd": mediatype.OCI_LAYER_ZSTD,
}


class DockerArchive:
    """Images in an uncompressed tar. Thread-safe; an `ImageReader`.

    Args:
        tar: The file.
    """

    def __init__(self, tar: IndexedTar) -> None:
        self._tar = tar
        self._lock = threading.Lock()
        self._manifests: dict[Digest, bytes] = {}
        self._blobs: dict[Digest, str] = {}
        self._known: dict[str, Descriptor] = {}

    def resolve(self, name: str = "") -> Descriptor:
        """Return the manifest of the image of a name; without one, of the only image there is.

        Every layer is read once for it.

        Raises:
            LayoutError: There is no such image, or several and no name; or the archive contradicts itself.
        """
        with self._lock:
            known = self._known.get(name)
        if known is not None:
            return known
        entry = self._entry(name)
        config = self._described(_text(entry, "Config"), mediatype.OCI_CONFIG)
        names = _texts(entry, "Layers")
        if len(names) > _MAX_LAYERS:
            raise LayoutError(f"{self._tar.path}: an image has more than {_MAX_LAYERS} layers")
        layers = tuple(self._described(layer, "") for layer in names)
        found = ImageConfig.parse(self._read(_text(entry, "Config"), MAX_CONFIG))
        if len(found.diff_ids) != len(layers):
            raise LayoutError(
                f"{self._tar.path}: the config tells of {len(found.diff_ids)} layers, {LIST} of {len(layers)}"
            )
        data = Manifest(config, layers).serialize()
        descriptor = Descriptor.of(mediatype.OCI_MANIFEST, data)
        with self._lock:
            self._manifests[descriptor.digest] = data
            self._known[name] = descriptor
        return descriptor

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest that was resolved.

        Raises:
            LayoutError: It was not.
        """
        with self._lock:
            data = self._manifests.get(descriptor.digest)
        if data is None:
            raise LayoutError(f"{self._tar.path} has no manifest {descriptor.digest}")
        return data

    def open_blob(
        self, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None
    ) -> VerifyingReader:
        """Open a blob of an image that was resolved; reading to the end proves its content.

        Raises:
            LayoutError: There is none.
            DigestMismatchError, SizeExceededError, SizeMismatchError: While reading: the file was changed.
        """
        with self._lock:
            name = self._blobs.get(descriptor.digest)
        if name is None:
            raise LayoutError(f"{self._tar.path} has no blob {descriptor.digest}")
        what = f"blob {descriptor.digest} in {self._tar.path}"
        return VerifyingReader(self._tar.open(name), descriptor, what, on_bytes)

    def _entry(self, name: str) -> dict[str, Any]:
        try:
            listed = json.loads(self._read(LIST, MAX_MANIFEST))
        except (ValueError, RecursionError) as error:
            raise LayoutError(f"{self._tar.path}: {LIST} is no JSON") from error
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise LayoutError(f"{self._tar.path}: {LIST} is no list of images")
        wanted = _normal(name)
        names = [[_normal(tag) for tag in _texts(entry, "RepoTags")] for entry in listed]
        found = [entry for entry, tags in zip(listed, names, strict=True) if not name or wanted in tags]
        if len(found) == 1:
            entry: dict[str, Any] = found[0]
            return entry
        there = sorted({tag for tags in names for tag in tags})
        hint = f"there is {', '.join(there)[:400]}" if there else "no image in it has a name"
        problem = f"no image {name!r}" if name else "several images; name one" if listed else "no image"
        raise LayoutError(f"{self._tar.path}: {problem}", hint=hint)

    def _described(self, name: str, media_type: str) -> Descriptor:
        """Return the descriptor of a file; its beginning tells the media type of a layer."""
        hashed, size, begin = hashlib.sha256(), 0, b""
        with closing(self._tar.open(name)) as file:
            for piece in file.pieces(PIECE):
                begin = begin or piece[:4]
                hashed.update(piece)
                size += len(piece)
        if size != self._tar.size(name):
            raise LayoutError(f"{self._tar.path} ends within {name}", hint="it was not written to its end")
        digest = Digest("sha256", hashed.hexdigest())
        with self._lock:
            self._blobs[digest] = name
        packed = next(
            (kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), mediatype.OCI_LAYER
        )
        return Descriptor(media_type or packed, digest, size)

    def _read(self, name: str, limit: int) -> bytes:
        if self._tar.size(name) > limit:
            raise LayoutError(f"{self._tar.path}: {name} is longer than {limit} bytes")
        with closing(self._tar.open(name)) as file:
            return b"".join(file.pieces(limit))


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise LayoutError(f"{LIST} has no {key}")
    return value


def _texts(entry: dict[str, Any], key: str) -> list[str]:
    values = entry.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise LayoutError(f"{LIST}: {key} is no list of names")
    return values


def _normal(name: str) -> str:
    """Return a name in the one form of all its spellings."""
    try:
        return str(Reference.parse(name).with_default_tag())
    except InvalidReferenceError:
        return name
