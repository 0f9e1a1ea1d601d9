"""Tells whether a cached layer is what its entry says, for a build that failed and asks what is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from strake_builder import interrupt
from strake_builder.layers.blobs import PulledLayer, StoredLayer
from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.errors import LayerError
from strake_builder.layers.hashed import HashedStream
from strake_oci.errors import NotFoundError, OCIError, RegistryError
from strake_oci.images import Readable
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.digest import Hasher
from strake_oci.spec.reference import Repository
from strake_oci.verify import despite_mirrors

_CHUNK = 1 << 20


def broken_layers(layers: Iterable[StoredLayer], client: RegistryClient) -> Iterator[StoredLayer]:
    """Yield the layers that are not there, or have other digests than their entries name.

    One that a registry cannot say anything about counts as broken, and so does, unasked, everything else
    in its repository: a build can do without a cache, not with half of one.
    """
    silent: set[Repository] = set()
    for layer in layers:
        if isinstance(layer, PulledLayer) and layer.repository in silent:
            yield layer
            continue
        try:
            sound = _is_sound(layer, client)
        except RegistryError:
            assert isinstance(layer, PulledLayer), "a file has no registry"  # noqa: S101 - narrows the type
            silent.add(layer.repository)
            sound = False
        if not sound:
            yield layer


def _is_sound(layer: StoredLayer, client: RegistryClient) -> bool:
    try:
        if isinstance(layer, PulledLayer):
            return despite_mirrors(lambda: _is_sound_there(layer, client))
        with open(layer.path, "rb") as packed:
            return _has_digests(packed, layer)
    except NotFoundError:
        return False
    except RegistryError:
        raise
    except (OCIError, LayerError, OSError):
        return False


def _is_sound_there(layer: PulledLayer, client: RegistryClient) -> bool:
    with client.open_blob(layer.repository, layer.descriptor) as packed:
        try:
            return _has_digests(packed, layer)
        except LayerError:
            for _ in interrupt.pieces(packed):  # it may be a mirror's fault, which only the end tells
                pass
            raise


def _has_digests(packed: Readable, layer: StoredLayer) -> bool:
    source = HashedStream(packed)
    stream, plain = DecompressedStream(source), Hasher()
    while data := stream.read(_CHUNK):
        plain.update(data)
    while source.read(_CHUNK):
        pass
    return plain.digest() == layer.diff_id and source.hasher.digest() == layer.descriptor.digest
