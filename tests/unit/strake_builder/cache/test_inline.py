"""An image's note of what its layers are, true or not."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from strake_builder.cache.inline import ANNOTATION, InlineCache, InlineSource, inline_note
from strake_builder.cache.keys import key_of
from strake_builder.cache.step_cache import CachedStep
from strake_builder.layers.blobs import PulledLayer
from strake_oci.errors import SizeExceededError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Digest
from strake_oci.spec.reference import Repository

KEYS = tuple(key_of(number) for number in range(3))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LAYERS = tuple(
    PulledLayer(
        Descriptor.of(mediatype.OCI_LAYER_GZIP, data),
        DiffID(Digest.sha256(data * 2)),
        Repository("registry.example", "app"),
    )
    for data in (b"base", b"one")
)


def cache_of(note: str | None, warnings: list[str]) -> InlineCache:
    annotations = {} if note is None else {ANNOTATION: note}
    return InlineCache("registry.example/app", lambda: InlineSource(annotations, LAYERS), warnings.append)


def test_a_note_is_read_as_it_was_written():
    note = inline_note([((KEYS[0],), 1, NOW), ((KEYS[1],), None, NOW)])
    cache = cache_of(note, [])
    assert cache.lookup(KEYS[0]) == CachedStep(LAYERS[1], NOW)
    assert cache.lookup(KEYS[1]) == CachedStep(None, NOW)
    assert cache.lookup(KEYS[2]) is None


def test_an_image_without_a_note_is_no_cache():
    warnings: list[str] = []
    assert cache_of(None, warnings).lookup(KEYS[0]) is None
    assert InlineCache("x", lambda: None, warnings.append).lookup(KEYS[0]) is None
    assert warnings == []


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{}",
        "[1]",
        json.dumps([{"keys": ["x"], "layer": 0, "created": "2026-01-01T00:00:00Z"}]),
        json.dumps([{"keys": [KEYS[0].hex], "layer": 2, "created": "2026-01-01T00:00:00Z"}]),
        json.dumps([{"keys": [KEYS[0].hex], "layer": -1, "created": "2026-01-01T00:00:00Z"}]),
        json.dumps([{"keys": [KEYS[0].hex], "layer": True, "created": "2026-01-01T00:00:00Z"}]),
        json.dumps([{"keys": [KEYS[0].hex], "layer": 0, "created": "yesterday"}]),
        json.dumps([{"keys": [KEYS[0].hex], "layer": 0, "created": "2026-01-01T00:00:00"}]),
        "[" * 100_000,
    ],
)
def test_a_note_that_is_none_is_warned_about_once(note):
    warnings: list[str] = []
    cache = cache_of(note, warnings)
    assert [cache.lookup(key) for key in KEYS] == [None, None, None]
    assert len(warnings) == 1
    assert "registry.example/app cannot be used as a cache" in warnings[0]


def test_an_image_that_cannot_be_asked_for_is_warned_about():
    warnings: list[str] = []

    def fail() -> InlineSource:
        raise SizeExceededError("the manifest is too long")

    assert InlineCache("app", fail, warnings.append).lookup(KEYS[0]) is None
    assert "the manifest is too long" in warnings[0]
