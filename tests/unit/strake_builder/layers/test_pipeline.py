"""A layer's blob holds every byte of its stream, whatever its length."""

from __future__ import annotations

import gzip
import hashlib
import os

import pytest

from strake_builder.layers.pipeline import write_blob

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
