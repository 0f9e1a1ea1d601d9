"""What every writable step cache does, whatever it keeps results in."""

from __future__ import annotations

import contextlib
import gzip
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from strake_builder.cache.keys import key_of
from strake_builder.cache.layout import LayoutCache
from strake_builder.cache.local import LocalCache
from strake_builder.cache.registry import RegistryCache
from strake_builder.cache.step_cache import CachedStep
from strake_builder.cache.usage import Usage
from strake_builder.layers.blobs import PulledLayer, WrittenLayer
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from tests.fixtures.servers.registry import registry

__all__ = ["registry"]

KEY, OTHER, THIRD = (key_of(name) for name in ("one", "two", "three"))
NOW = datetime.now(UTC).replace(microsecond=123456)


class CacheOfOneKind:
    """A cache of one kind; `open` gives it anew, as the next build finds it."""

    def __init__(self, kind, tmp_path, registry, scope) -> None:
        self.kind, self.directory, self.registry, self.scope = kind, tmp_path / "cache", registry, scope
        self.warnings: list[str] = []

    def open(self):
        if self.kind == "directory":
            usage = self.scope.enter_context(Usage(str(self.directory / "usage")))
            return LocalCache(str(self.directory), usage, self.warnings.append)
        if self.kind == "layout":
            return LayoutCache(str(self.directory), timedelta(days=1), self.warnings.append)
        client = self.scope.enter_context(self.registry.client())
        repository = self.registry.repository(f"cache/{self.directory.parent.name}".lower())
        return RegistryCache(client, repository, timedelta(days=1), self.warnings.append)


@pytest.fixture(params=["directory", "layout", "repository"])
def cached(request, tmp_path, registry):
    with contextlib.ExitStack() as scope:
        yield CacheOfOneKind(request.param, tmp_path, registry, scope)


@pytest.fixture
def layer(tmp_path):
    return written(tmp_path, b"a layer")


def written(tmp_path, content: bytes) -> WrittenLayer:
    data = gzip.compress(content)
    path = tmp_path / f"blob-{len(content)}"
    path.write_bytes(data)
    return WrittenLayer(
        Descriptor.of(mediatype.OCI_LAYER_GZIP, data), DiffID(Digest.sha256(content)), str(path)
    )


def read(cached, layer) -> bytes:
    if isinstance(layer, WrittenLayer):
        with open(layer.path, "rb") as file:
            return file.read()
    assert isinstance(layer, PulledLayer)
    with cached.registry.client() as client, client.open_blob(layer.repository, layer.descriptor) as blob:
        return b"".join(iter(lambda: blob.read(1 << 16), b""))


def test_nothing_is_found_where_nothing_was_kept(cached):
    assert cached.open().lookup(KEY) is None
    assert cached.warnings == []


def test_what_is_kept_is_found_by_the_next_build(cached, layer, tmp_path):
    cached.open().store((KEY,), CachedStep(layer, NOW))
    (tmp_path / "blob-7").unlink()  # the build's own directory is gone by then
    found = cached.open().lookup(KEY)
    assert (found.layer.descriptor, found.layer.diff_id, found.created) == (
        layer.descriptor,
        layer.diff_id,
        NOW,
    )
    assert gzip.decompress(read(cached, found.layer)) == b"a layer"


def test_every_key_finds_the_same(cached, layer):
    cache = cached.open()
    cache.store((KEY, OTHER), CachedStep(layer, NOW))
    assert cache.lookup(KEY) == cache.lookup(OTHER)
    assert cache.lookup(THIRD) is None


def test_a_step_that_changed_nothing_is_a_result_too(cached):
    cache = cached.open()
    cache.store((KEY,), CachedStep(None, NOW))
    assert cached.open().lookup(KEY) == CachedStep(None, NOW)


def test_an_outline_is_kept_in_the_entry_itself(cached):
    outline = CachedStep(None, NOW, bytes(range(256)) * 256)
    cached.open().store((KEY,), outline)
    assert cached.open().lookup(KEY) == outline


def test_the_last_result_counts(cached, tmp_path, layer):
    cache = cached.open()
    cache.store((KEY,), CachedStep(layer, NOW))
    newer = written(tmp_path, b"another layer")
    cache.store((KEY,), CachedStep(newer, NOW))
    assert cached.open().lookup(KEY).layer.descriptor == newer.descriptor


def test_keeping_twice_is_keeping_once(cached, layer):
    for _ in range(2):
        cached.open().store((KEY,), CachedStep(layer, NOW))
    assert cached.open().lookup(KEY).layer.descriptor == layer.descriptor


def test_many_threads_keep_and_find(cached, tmp_path):
    cache = cached.open()
    layers = [written(tmp_path, b"x" * (1000 + number)) for number in range(8)]

    def both(number: int):
        key = key_of("thread", number)
        cache.store((key, KEY), CachedStep(layers[number], NOW))
        return cache.lookup(key)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(both, range(8)))
    assert [f.layer.descriptor for f in found] == [layer.descriptor for layer in layers]
    assert cache.lookup(KEY).layer.descriptor in {layer.descriptor for layer in layers}
    assert cached.warnings == []
