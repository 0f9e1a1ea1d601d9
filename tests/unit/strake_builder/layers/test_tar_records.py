"""Headers and extension records of hostile archives."""

import bz2
import gzip
import io
import lzma
import tarfile
import tracemalloc

import pytest
import zstandard

from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.entry import EntryType
from strake_builder.layers.errors import MalformedLayerError
from strake_builder.layers.tar_reader import MAX_EXTENSION, read_members
from strake_builder.layers.tar_writer import BLOCK, END_OF_ARCHIVE
from tests.unit.strake_builder.layers.test_tar_reader import (
    _raw,
    _with_checksum,
    info,
    made_by_tarfile,
    members,
)


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_an_extension_that_would_fill_memory_is_refused(flag):
    with pytest.raises(MalformedLayerError, match="limit"):
        members(_raw(flag, MAX_EXTENSION + 1, b""))


class Many:
    """A million global headers, one of which is made when it is read."""

    def __init__(self, value: bytes, width: int = 7) -> None:
        self.left, self.value, self.width = 1_000_000, value, width
        self.data = b""

    def read(self, size: int) -> bytes:
        if not self.data and self.left:
            self.left -= 1
            self.data = _raw(b"g", *_record(b"k%0*d" % (self.width, self.left % 10**self.width), self.value))
        data, self.data = self.data[:size], self.data[size:]
        return data


def _record(key: bytes, value: bytes) -> tuple[int, bytes]:
    """Return the size of a record, of at most 9,999 bytes, and the record."""
    rest = b" %s=%s\n" % (key, value)
    size = next(size for size in range(len(rest), len(rest) + 5) if len(b"%d" % size) + len(rest) == size)
    return size, b"%d%s" % (size, rest)


@pytest.mark.parametrize(("value", "words"), [(b"", "10000 PAX records"), (b"v" * 9000, "limit of 1048576")])
def test_global_records_of_ever_new_keys_are_refused(value, words):
    source = Many(value)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedLayerError, match=words):
            list(read_members(source))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert source.left >= 980_000
    assert peak < 8 << 20


def test_global_records_that_replace_each_other_are_read():
    source = Many(b"v" * 100, width=2)
    source.left = 50_000
    assert list(read_members(source)) == []


def test_an_empty_record_takes_back_a_global_one():
    globals_ = b"".join(_raw(b"g", *_record(key, b"77")) for key in (b"uid", b"mtime"))
    back = b"".join(_record(key, b"")[1] for key in (b"uid", b"mtime"))
    files = made_by_tarfile((info("f", uid=5, mtime=6), b""), fmt=tarfile.USTAR_FORMAT)
    ((one, _),) = members(globals_ + files)
    assert (one.uid, one.mtime) == (77, 77)
    ((other, _),) = members(globals_ + _raw(b"x", len(back), back) + files)
    assert (other.uid, other.mtime) == (5, 6)


@pytest.mark.parametrize(
    "body", [b"no length\n", b"999 a=b\n", b"5 a=b", b"8 abcdef\n", b"-1 a=b\n", b"9" * 40 + b" a=b\n"]
)
def test_malformed_pax_records_are_refused(body):
    with pytest.raises(MalformedLayerError):
        members(_raw(b"x", len(body), body) + END_OF_ARCHIVE)


@pytest.mark.parametrize("record", [b"size=-5", b"uid=0x10", b"mtime=now", b"size=" + b"9" * 30])
def test_bad_numbers_in_pax_records_are_refused(record):
    body = b"%d %s\n" % (len(record) + 4 if len(record) + 4 > 9 else len(record) + 3, record)
    assert int(body.split()[0]) == len(body)
    with pytest.raises(MalformedLayerError, match="PAX record"):
        members(_raw(b"x", len(body), body) + made_by_tarfile((info("f"), b"")))


@pytest.mark.parametrize("keep", [1, 511, 512 + 3, 512 + 600])
def test_a_truncated_archive_is_refused(keep):
    data = made_by_tarfile((info("f"), b"z" * 1000))
    with pytest.raises(MalformedLayerError):
        members(data[:keep])


def test_noise_is_refused():
    with pytest.raises(MalformedLayerError):
        members(b"\x01" * 4096)


def test_a_negative_number_is_refused():
    header = bytearray(made_by_tarfile((info("f"), b""))[:512])
    header[108:116] = b"\xff" * 8
    with pytest.raises(MalformedLayerError, match="negative"):
        members(bytes(_with_checksum(header)))


def test_volume_labels_and_unknown_members_name_no_file():
    data = _raw(b"V", 0, b"") + _raw(b"Z", 4, b"abcd") + made_by_tarfile((info("f"), b""))
    assert [entry.path for entry, _ in members(data)] == [b"f"]


def test_types():
    data = made_by_tarfile(
        (info("d", type=tarfile.DIRTYPE), b""),
        (info("c", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
        (info("p", type=tarfile.FIFOTYPE), b""),
    )
    assert [entry.type for entry, _ in members(data)] == [
        EntryType.DIRECTORY,
        EntryType.CHAR_DEVICE,
        EntryType.FIFO,
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_an_extension_that_fills_its_block_is_followed_by_its_member(pack):
    size, record = _record(b"path", b"n" * 502)
    assert size == BLOCK, "there is no padding to read"
    archive = _raw(b"x", size, record) + made_by_tarfile((info("a"), b"content"), (info("b"), b"y" * 5000))
    found = [
        (entry.path, content.read())
        for entry, content in read_members(DecompressedStream(io.BytesIO(pack(archive))))
    ]
    assert found == [(b"n" * 502, b"content"), (b"b", b"y" * 5000)]
