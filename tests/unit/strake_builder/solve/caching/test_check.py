"""Whose fault it is that a cached layer could not be used: the cache's, or only a mirror's."""

from __future__ import annotations

import gzip
import os

import pytest

from strake_builder.layers.blobs import PulledLayer, WrittenLayer
from strake_builder.solve.caching.check import broken_layers
from strake_oci.registry import ClientSettings, Mirror, RegistryClient, RegistrySettings
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from tests.faults import faults
from tests.faults.registry import FAST, FaultyRegistry

PLAIN = RegistrySettings(plain_http=True)
TAR = os.urandom(3_000_000)
PACKED = gzip.compress(TAR, 1)
BLOB = Descriptor.of(mediatype.OCI_LAYER_GZIP, PACKED)
DIFF_ID = DiffID(Digest.sha256(TAR))


@pytest.fixture
def registry():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture
def mirror():
    with FaultyRegistry() as running:
        yield running


@pytest.fixture
def client(registry, mirror):
    mirrored = RegistrySettings(plain_http=True, mirrors=(Mirror(mirror.host),))
    settings = ClientSettings({registry.host: mirrored, mirror.host: PLAIN})
    with RegistryClient(settings, retry=FAST) as made:
        yield made


def layer(registry, diff_id=DIFF_ID) -> PulledLayer:
    return PulledLayer(BLOB, diff_id, registry.repository())


LIES = {
    "another end": PACKED[:-1] + bytes([PACKED[-1] ^ 1]),
    "what is no gzip": os.urandom(len(PACKED)),
    "what is no gzip half way": PACKED[:1_000_000] + os.urandom(len(PACKED) - 1_000_000),
    "too much": PACKED + b"more",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lying_mirror_does_not_make_a_layer_broken(registry, mirror, client, lie):
    registry.put_blob(PACKED)
    mirror.add(faults.send(lie, path="/blobs/"))
    assert list(broken_layers([layer(registry)], client)) == []
    assert len(mirror.seen) == 1


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lying_cache_does(registry, mirror, client, lie):
    registry.add(faults.send(lie, path="/blobs/"))
    mirror.add(faults.status(404, "BLOB_UNKNOWN", method="GET", times=9))
    broken = layer(registry)
    assert list(broken_layers([broken], client)) == [broken]


def test_a_layer_under_another_diff_id_is_broken_wherever_it_is(registry, client, tmp_path):
    registry.put_blob(PACKED)
    other = DiffID(Digest.sha256(b"other"))
    (tmp_path / "blob").write_bytes(PACKED)
    layers: list[PulledLayer | WrittenLayer] = [
        layer(registry, other),
        WrittenLayer(BLOB, other, str(tmp_path / "blob")),
    ]
    assert list(broken_layers(layers, client)) == layers
    sound: list[PulledLayer | WrittenLayer] = [
        layer(registry),
        WrittenLayer(BLOB, DIFF_ID, str(tmp_path / "blob")),
    ]
    assert list(broken_layers(sound, client)) == []
