"""Whatever a layer holds, it comes back: through our reader, through tarfile, through every compression."""

from __future__ import annotations

import gzip
import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from strake_builder.layers.compression import DecompressedStream
from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.errors import LayerError
from strake_builder.layers.tar_reader import read_members
from strake_builder.layers.tar_writer import END_OF_ARCHIVE, encode_header, padding

names = st.binary(min_size=1, max_size=120).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
)
paths = st.lists(names, min_size=1, max_size=5).map(b"/".join)
attributes = st.dictionaries(
    st.from_regex(rb"\A(user|security)\.[a-z]{1,30}\Z"), st.binary(max_size=200), max_size=3
)
numbers = st.integers(0, (1 << 32) - 2)


@st.composite
def members(draw) -> tuple[Entry, bytes]:
    kind = draw(st.sampled_from(list(EntryType)))
    content = draw(st.binary(max_size=2000)) if kind is EntryType.FILE else b""
    linked = kind in {EntryType.SYMLINK, EntryType.HARD_LINK}
    target = draw(st.binary(min_size=1, max_size=300).filter(lambda t: b"\0" not in t)) if linked else b""
    device = kind in {EntryType.CHAR_DEVICE, EntryType.BLOCK_DEVICE}
    entry = Entry(
        path=draw(paths),
        type=kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(numbers),
        gid=draw(numbers),
        size=len(content),
        mtime=draw(st.integers(0, 1 << 40)),
        target=target,
        device=draw(st.tuples(st.integers(0, 4095), st.integers(0, 255))) if device else (0, 0),
        xattrs=draw(attributes),
    )
    return entry, content


def archive(entries: list[tuple[Entry, bytes]]) -> bytes:
    parts = [
        part for entry, content in entries for part in (encode_header(entry), content, padding(len(content)))
    ]
    return b"".join([*parts, END_OF_ARCHIVE])


@given(st.lists(members(), max_size=5))
def test_what_is_written_is_read(entries):
    stream = DecompressedStream(io.BytesIO(gzip.compress(archive(entries))))
    found = [(entry, b"".join(iter(content.read, b""))) for entry, content in read_members(stream)]
    assert [content for _, content in found] == [content for _, content in entries]
    for (seen, _), (meant, _) in zip(found, entries, strict=True):
        assert seen == meant


@given(st.lists(members(), max_size=5))
def test_tarfile_reads_the_same(entries):
    with tarfile.open(fileobj=io.BytesIO(archive(entries)), errors="surrogateescape") as tar:
        found = tar.getmembers()
    assert [m.name.encode("utf-8", "surrogateescape").rstrip(b"/") for m in found] == [
        e.path.rstrip(b"/") for e, _ in entries
    ]
    assert [(m.mode, m.uid, m.gid, m.mtime) for m in found] == [
        (e.mode, e.uid, e.gid, e.mtime) for e, _ in entries
    ]


@settings(max_examples=300)
@given(st.binary(max_size=4096))
def test_noise_raises_nothing_but_our_error(data):
    found = []
    try:
        for entry, content in read_members(DecompressedStream(io.BytesIO(data))):
            found.append(entry)
            content.skip()
    except LayerError:
        pass
    assert len(found) <= len(data) // 512  # each member has a header of its own


@settings(max_examples=300)
@given(st.lists(members(), min_size=1, max_size=3), st.data())
def test_a_damaged_archive_raises_nothing_but_our_error(entries, data):
    damaged = bytearray(archive(entries))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        for entry, content in read_members(io.BytesIO(damaged)):
            assert len(b"".join(iter(content.read, b""))) <= entry.size or content.extents is not None
    except LayerError:
        pass
