"""Streams of every format come back; damaged ones and bombs are refused or bounded."""

import bz2
import gzip
import io
import lzma
import os

import pytest
import zstandard

from strake_builder.layers.compression import DecompressedStream, compressor
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import MalformedLayerError, UnknownCompressionError
from strake_builder.layers.tar_reader import read_members
from strake_builder.layers.tar_writer import encode_header
from strake_oci.spec.mediatype import Compression

DATA = os.urandom(300_000) + b"text " * 100_000
PACKED = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "gzip padded": lambda data: gzip.compress(data) + bytes(1000),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "zstd frames": lambda data: b"".join(
        zstandard.ZstdCompressor().compress(p) for p in (data[:9], data[9:])
    ),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


class Trickle(io.RawIOBase):
    """Hands out a few bytes at a time, as a socket may."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data, self.step, self.at = data, step, 0

    def read(self, size: int = -1) -> bytes:
        end = min(self.at + self.step, len(self.data))
        piece, self.at = self.data[self.at : end], end
        return piece


def read_all(stream) -> bytes:
    return b"".join(iter(lambda: stream.read(10_007), b""))


@pytest.mark.parametrize("form", PACKED)
def test_every_format_comes_back(form):
    assert read_all(DecompressedStream(io.BytesIO(PACKED[form](DATA)))) == DATA


@pytest.mark.parametrize("form", PACKED)
def test_a_trickle_comes_back(form):
    small = DATA[:5000]
    assert read_all(DecompressedStream(Trickle(PACKED[form](small), 3))) == small


@pytest.mark.parametrize("form", PACKED)
def test_nothing_comes_back_as_nothing(form):
    assert read_all(DecompressedStream(io.BytesIO(PACKED[form](b"")))) == b""


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_a_stream_that_ends_early_is_refused(form):
    packed = PACKED[form](DATA)
    with pytest.raises(MalformedLayerError):
        read_all(DecompressedStream(io.BytesIO(packed[: len(packed) // 2])))


def test_a_zstd_stream_that_ends_early_makes_a_truncated_archive():
    """The library does not tell; the reader of the tar stream and the check of the digest do."""
    archive = encode_header(Entry(b"f", EntryType.FILE, size=len(DATA))) + DATA
    packed = PACKED["zstd"](archive)
    with pytest.raises(MalformedLayerError):
        for _ in read_members(DecompressedStream(io.BytesIO(packed[: len(packed) // 2]))):
            pass


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz"])
def test_a_damaged_stream_is_refused(form):
    packed = bytearray(PACKED[form](DATA))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(MalformedLayerError):
        read_all(DecompressedStream(io.BytesIO(packed)))


@pytest.mark.parametrize("form", ["gzip", "zstd", "bzip2", "xz"])
def test_a_bomb_takes_no_more_memory_than_is_asked_for(form):
    stream = DecompressedStream(io.BytesIO(PACKED[form](bytes(64 << 20))))
    sizes = [len(stream.read(65536)) for _ in range(50)]
    assert max(sizes) <= 65536


def test_reading_to_the_end_reads_the_packed_stream_to_its_end():
    source = io.BytesIO(gzip.compress(b"x") + bytes(5_000_000))
    read_all(DecompressedStream(source))
    assert source.read() == b""


def long_window(log: int) -> bytes:
    """A repetition that only a window of 2^log bytes can see."""
    block = os.urandom(1 << 20)
    parameters = zstandard.ZstdCompressionParameters(window_log=log, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    pieces = [block, *([bytes(1 << 20)] * ((1 << log - 20) - 2)), block]
    return b"".join(packer.compress(piece) for piece in pieces) + packer.flush()


def test_zstd_with_the_longest_window_that_the_tool_reads_comes_back():
    packed = long_window(27)
    assert len(packed) < 1_500_000
    stream = DecompressedStream(io.BytesIO(packed))
    assert sum(map(len, iter(lambda: stream.read(1 << 20), b""))) == 1 << 27


def test_a_window_that_would_take_too_much_memory_is_refused():
    with pytest.raises(MalformedLayerError, match="memory"):
        DecompressedStream(io.BytesIO(long_window(28))).read(1000)


def test_whoever_unpacks_needs_little_memory_at_any_level():
    """RFC 8878 asks decoders for windows of 8 MiB."""
    data = os.urandom(1 << 20)
    packer = compressor(Compression.ZSTD, 22)
    packed = b"".join([*(packer.compress(data) for _ in range(9)), packer.flush()])
    assert len(packed) < 2 << 20, "repetitions within the window are seen"
    parameters = zstandard.get_frame_parameters(packed)
    assert parameters.window_size <= 8 << 20
    assert read_all(DecompressedStream(io.BytesIO(packed))) == data * 9


def test_lz4_is_named():
    with pytest.raises(UnknownCompressionError, match="lz4"):
        DecompressedStream(io.BytesIO(b"\x04\x22\x4d\x18rest"))


@pytest.mark.parametrize("compression", list(Compression))
def test_what_is_packed_comes_back_and_is_always_the_same(compression):
    def pack() -> bytes:
        packer = compressor(compression)
        return (
            b"".join(packer.compress(DATA[at : at + 65536]) for at in range(0, len(DATA), 65536))
            + packer.flush()
        )

    assert read_all(DecompressedStream(io.BytesIO(pack()))) == DATA
    assert pack() == pack()


@pytest.mark.parametrize("level", [1, 2])
def test_gzip_has_one_encoding_wherever_its_state_is_in_memory(level):
    """ISA-L takes an address for the third byte's hash: one of 8,192 inputs tells two addresses apart."""
    for number in range(100_000):
        data = b"ab" + number.to_bytes(4, "big") * 2 + bytes(400)
        one, other = compressor(Compression.GZIP, level), compressor(Compression.GZIP, level)
        packed = one.compress(data) + one.flush()
        assert packed == other.compress(data) + other.flush()


@pytest.mark.parametrize("length", [0, 1, 287, 288, 289, 290, 577, 3000])
@pytest.mark.parametrize("step", [1, 100, 288, 289, 290])
def test_gzip_of_short_streams_in_pieces_comes_back(length, step):
    data = DATA[:length]
    stream = compressor(Compression.GZIP)
    packed = b"".join(stream.compress(data[at : at + step]) for at in range(0, length, step))
    assert gzip.decompress(packed + stream.flush()) == data
