from __future__ import annotations

import gzip
import json
import multiprocessing
import os
from datetime import UTC, datetime, timedelta

import pytest

from strake_builder.cache.directories import make_directory
from strake_builder.cache.keys import key_of
from strake_builder.cache.layout import LayoutCache, unusable
from strake_builder.cache.step_cache import CachedStep
from strake_builder.layers.blobs import WrittenLayer
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, make_artifact
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from strake_oci.stores.layout import Layout
from strake_oci.stores.layout_index import blob_path

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
KEY, OTHER = key_of("one"), key_of("two")


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def opened(tmp_path, warnings):
    def open_cache(ttl=DAY, *, writes=True):
        return LayoutCache(str(tmp_path / "cache"), ttl, warnings.append, writes=writes)

    return open_cache


def layer_of(directory, content: bytes) -> WrittenLayer:
    data = gzip.compress(content)
    path = directory / f"layer-{content.hex()[:40]}"
    path.write_bytes(data)
    return WrittenLayer(
        Descriptor.of(mediatype.OCI_LAYER_GZIP, data), DiffID(Digest.sha256(content)), str(path)
    )


def blobs(tmp_path) -> set[str]:
    return set(os.listdir(tmp_path / "cache/blobs/sha256"))


def test_it_is_a_layout_that_other_programs_read(opened, tmp_path):
    opened().store((KEY,), CachedStep(layer_of(tmp_path, b"x"), NOW))
    layout = Layout(tmp_path / "cache")
    assert layout.tags() == (KEY.hex,)
    manifest = json.loads(layout.manifest(layout.resolve(KEY.hex)))
    assert manifest["artifactType"] == "application/vnd.strake.cached-step.v1"


def test_nobody_else_may_write_to_it(opened, tmp_path):
    before = os.umask(0)  # as the builder's process has it
    try:
        LayoutCache(str(tmp_path / "a/b/cache"), DAY, pytest.fail).store((KEY,), CachedStep(None, NOW))
    finally:
        os.umask(before)
    for path in (tmp_path / "a", *(tmp_path / "a").rglob("*")):
        assert path.stat().st_mode & 0o022 == 0, path


def test_what_only_reads_keeps_nothing_and_makes_nothing(opened, tmp_path, warnings):
    opened(writes=False).store((KEY,), CachedStep(None, NOW))
    assert opened(writes=False).lookup(KEY) is None
    assert (tmp_path / "cache").exists() is False
    assert warnings == []


def test_an_old_result_is_a_miss_and_goes_with_its_blobs(opened, tmp_path, warnings):
    old, new = layer_of(tmp_path, b"old"), layer_of(tmp_path, b"new")
    opened().store((KEY,), CachedStep(old, NOW - 2 * DAY))
    assert opened().lookup(KEY) is None
    assert opened(7 * DAY).lookup(KEY) is not None
    opened().store((OTHER,), CachedStep(new, NOW))
    assert Layout(tmp_path / "cache").tags() == (OTHER.hex,)
    assert old.descriptor.digest.encoded not in blobs(tmp_path)
    assert blobs(tmp_path) >= {new.descriptor.digest.encoded, EMPTY.digest.encoded}
    assert warnings == []


def test_a_blob_of_an_old_result_stays_where_something_else_has_it(opened, tmp_path):
    shared = layer_of(tmp_path, b"shared")
    opened().store((KEY,), CachedStep(shared, NOW - 2 * DAY))
    layout = Layout(tmp_path / "cache")
    foreign = make_artifact("application/x", (shared.descriptor,))
    layout.push_manifest(foreign.serialize(), foreign.media_type, "an-image")
    opened().store((OTHER,), CachedStep(None, NOW))
    assert set(layout.tags()) == {"an-image", OTHER.hex}
    assert shared.descriptor.digest.encoded in blobs(tmp_path)


def test_nothing_is_removed_where_it_is_not_known_what_is_used(opened, tmp_path):
    old = layer_of(tmp_path, b"old")
    opened().store((KEY,), CachedStep(old, NOW - 2 * DAY))
    layout = Layout(tmp_path / "cache")
    foreign = layout.push_manifest(
        make_artifact("application/x").serialize(), mediatype.OCI_MANIFEST, "image"
    )
    (layout.path / blob_path(foreign.digest)).unlink()
    opened().store((OTHER,), CachedStep(None, NOW))
    assert old.descriptor.digest.encoded in blobs(tmp_path)


def test_the_oldest_go_before_the_index_is_too_long(opened, tmp_path, monkeypatch):
    monkeypatch.setattr("strake_builder.cache.layout.MAX_ENTRIES", 3)
    keys = [key_of("many", number) for number in range(5)]
    for number, key in enumerate(keys):
        opened().store((key,), CachedStep(None, NOW - timedelta(minutes=10 - number)))
    assert set(Layout(tmp_path / "cache").tags()) == {key.hex for key in keys[2:]}


def test_an_index_that_would_be_too_long_stays_what_it_is(opened, tmp_path, monkeypatch, warnings):
    opened().store((KEY,), CachedStep(None, NOW))
    monkeypatch.setattr("strake_oci.stores.layout.MAX_MANIFEST", 600)
    opened().store((OTHER,), CachedStep(None, NOW))
    assert opened().lookup(KEY) is not None
    (warning,) = warnings
    assert "index.json would be longer than 600 bytes" in warning


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schemaVersion":2,"manifests":[{}]}', b"\xff"])
@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_a_damaged_layout_costs_a_warning_and_no_more(opened, tmp_path, warnings, name, content):
    opened().store((KEY,), CachedStep(None, NOW))
    (tmp_path / "cache" / name).write_bytes(content)
    cache = opened()
    assert [cache.lookup(KEY), cache.lookup(OTHER)] == [None, None]
    cache.store((KEY,), CachedStep(None, NOW))
    assert [warning.partition(" steps in ")[0] for warning in warnings] == ["looking up", "storing"]


@pytest.mark.parametrize("damage", ["cut", "link", "pipe", "gone"])
def test_a_damaged_blob_is_a_miss_and_is_written_again(opened, tmp_path, warnings, damage):
    layer = layer_of(tmp_path, b"content")
    opened().store((KEY,), CachedStep(layer, NOW))
    path = tmp_path / "cache" / blob_path(layer.descriptor.digest)
    data = path.read_bytes()
    path.unlink()
    match damage:
        case "cut":
            path.write_bytes(data[:-1])
        case "link":
            path.symlink_to(layer.path)
        case "pipe":
            os.mkfifo(path)
        case _:
            pass
    assert opened().lookup(KEY) is None
    assert len(warnings) == (damage in {"cut", "link", "pipe"})
    opened().store((KEY,), CachedStep(layer, NOW))
    assert opened().lookup(KEY) is not None
    assert path.is_symlink() is False


def test_a_damaged_entry_is_a_miss(opened, tmp_path, warnings):
    opened().store((KEY,), CachedStep(None, NOW))
    layout = Layout(tmp_path / "cache")
    (layout.path / blob_path(layout.resolve(KEY.hex).digest)).write_bytes(b"{}")
    assert opened().lookup(KEY) is None
    assert ["an entry of" in warning for warning in warnings] == [True]


def test_an_entry_of_another_key_is_a_miss(opened, tmp_path, warnings):
    opened().store((KEY,), CachedStep(None, NOW))
    layout = Layout(tmp_path / "cache")
    entry = layout.resolve(KEY.hex)
    layout.push_manifest(layout.manifest(entry), entry.media_type, OTHER.hex)
    assert opened().lookup(OTHER) is None
    assert ["it belongs to another key" in warning for warning in warnings] == [True]


def _keep(path: str, worker: int) -> None:
    for number in range(10):
        cache = LayoutCache(path, DAY, pytest.fail)
        cache.store((key_of(worker, number), key_of("all")), CachedStep(None, NOW))


def test_builds_that_keep_results_together_lose_none(tmp_path, opened):
    path = str(tmp_path / "cache")
    workers = [multiprocessing.get_context("fork").Process(target=_keep, args=(path, n)) for n in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
        assert each.exitcode == 0
    cache = opened()
    assert all(cache.lookup(key_of(worker, number)) for worker in range(4) for number in range(10))


def test_what_another_build_kept_meanwhile_is_found(opened):
    reader = opened()
    opened().store((KEY,), CachedStep(None, NOW))
    assert reader.lookup(KEY) is not None
    opened().store((OTHER,), CachedStep(None, NOW))
    assert reader.lookup(OTHER) is not None


def test_directories_that_can_be_one(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/passwd").touch()
    (tmp_path / "file").touch()
    Layout(tmp_path / "layout", create=True)
    (tmp_path / "begun/blobs").mkdir(parents=True)  # as another build leaves it for a moment
    (tmp_path / "begun/index.json").touch()
    (tmp_path / "begun/.new-x").touch()
    good = ("empty", "layout", "none", "none/at/all", "begun")
    assert [unusable(str(tmp_path / name)) for name in good] == [""] * 5
    assert unusable(str(tmp_path / "full")) == "it is no OCI image layout, and not empty"
    assert unusable(str(tmp_path / "file")) == "Not a directory"


@pytest.mark.parametrize("name", ["file", "file/in/it"])
def test_a_directory_that_cannot_be_made_is_an_error(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file"):
        make_directory(str(tmp_path / name))
