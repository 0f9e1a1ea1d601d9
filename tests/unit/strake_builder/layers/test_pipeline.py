"""A layer's blob holds every byte of its stream, whatever its length."""

from __future__ import annotations

import gzip
import hashlib
import io
import os

import pytest

from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.format import LEVELS, LayerFormat
from strake_builder.layers.pipeline import write_blob
from strake_oci.spec.mediatype import Compression

MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    "size", [0, 1, MEBIBYTE, 4 * MEBIBYTE - 1, 4 * MEBIBYTE, 5 * MEBIBYTE + 7, 9 * MEBIBYTE]
)
@pytest.mark.parametrize("piece", [100_000, MEBIBYTE, 3 * MEBIBYTE])
def test_nothing_is_lost_on_the_way_to_the_threads(size, piece):
    data = os.urandom(size)
    packed = bytearray()
    blob = write_blob((data[at : at + piece] for at in range(0, size, piece)), packed.extend)
    assert gzip.decompress(packed) == data
    assert blob.uncompressed_size == size
    assert str(blob.diff_id) == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert str(blob.digest) == f"sha256:{hashlib.sha256(packed).hexdigest()}"


FORMS = [
    LayerFormat(compression, level) for compression, levels in LEVELS.items() for level in levels or [None]
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.compression.value}-{form.level}")
def test_every_level_comes_back_and_does_not_depend_on_how_the_stream_is_cut(form):
    data = b"".join(b"line %d of a text\n" % (number * number) for number in range(45_000)) + os.urandom(
        70_000
    )
    packed = []
    for piece in (len(data), 65_537):
        target = bytearray()
        blob = write_blob(
            iter([data[at : at + piece] for at in range(0, len(data), piece)]), target.extend, form
        )
        assert blob.size == len(target)
        assert str(blob.digest) == f"sha256:{hashlib.sha256(target).hexdigest()}"
        packed.append(bytes(target))
    assert packed[0] == packed[1]
    stream = DecompressedStream(io.BytesIO(packed[0]))
    assert b"".join(iter(stream.read, b"")) == data


def test_without_compression_both_digests_are_one():
    blob = write_blob([b"abc"], bytearray().extend, LayerFormat(Compression.NONE))
    assert str(blob.digest) == str(blob.diff_id)


def test_times_are_clamped_not_set():
    form = LayerFormat(epoch=100)
    assert (form.clamp(50), form.clamp(100), form.clamp(101)) == (50, 100, 100)
    assert LayerFormat().clamp(2_000_000_000) == 2_000_000_000
