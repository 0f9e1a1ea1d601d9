"""Tells whether a cached layer is what its entry says, for a build that failed and asks what is to blame."""

from __future__ import annotations

from strake_builder.layers.blobs import PulledLayer, StoredLayer
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.layers.tar_reader import ByteSource
from strake_oci.digest import Hasher
from strake_oci.errors import (
    BlobUnknownError,
    DigestMismatchError,
    NotFoundError,
    OCIError,
    SizeExceededError,
    SizeMismatchError,
)
from strake_oci.registry.client import RegistryClient

_CHUNK = 1 << 20
_BROKEN = (BlobUnknownError, NotFoundError, DigestMismatchError, SizeExceededError, SizeMismatchError)


def is_sound(layer: StoredLayer, client: RegistryClient) -> bool:
    """Say whether a layer is there and has the digests that are said of it.

    A registry that does not answer says nothing about the layer.
    """
    try:
        if isinstance(layer, PulledLayer):
            with client.open_blob(layer.repository, layer.descriptor) as packed:
                return _has_digests(packed, layer)
        with open(layer.path, "rb") as packed:
            return _has_digests(packed, layer)
    except (*_BROKEN, LayerError, OSError):
        return False
    except OCIError:
        return True


def _has_digests(packed: ByteSource, layer: StoredLayer) -> bool:
    source = _Counted(packed)
    stream, plain = DecompressedStream(source), Hasher()
    while data := stream.read(_CHUNK):
        plain.update(data)
    while source.read(_CHUNK):
        pass
    return plain.digest() == layer.diff_id and source.hasher.digest() == layer.descriptor.digest


class _Counted:
    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.hasher = Hasher()

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self.hasher.update(data)
        return data
