"""What other tools write is read; what an attacker writes is refused in bounded memory."""

import io
import os
import subprocess
import tarfile
import time

import pytest

from strake_builder.layers.errors import MalformedLayerError
from strake_builder.layers.tar_reader import MAX_EXTENSION, read_members
from strake_builder.layers.tar_writer import padding


def members(data: bytes):
    return [(entry, b"".join(iter(content.read, b""))) for entry, content in read_members(io.BytesIO(data))]


def made_by_tarfile(*infos, fmt=tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=fmt) as tar:
        for info, content in infos:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def info(name: str, **fields) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def _with_checksum(header: bytearray) -> bytearray:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return header


def _raw(type_flag: bytes, size: int, body: bytes) -> bytes:
    header = bytearray(512)
    header[:1] = b"x"
    header[124:136] = b"%011o\0" % size
    header[156:157] = type_flag
    header[257:265] = b"ustar\x0000"
    return bytes(_with_checksum(header)) + body + padding(len(body))


@pytest.mark.parametrize("fmt", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tarfile(fmt):
    name = "d/" * 20 + "f"
    data = made_by_tarfile((info(name, mode=0o751, uid=7, gid=8, mtime=99), b"content"), fmt=fmt)
    ((entry, content),) = members(data)
    assert (entry.path, entry.mode, entry.uid, entry.gid, entry.mtime) == (name.encode(), 0o751, 7, 8, 99)
    assert (entry.size, content) == (7, b"content")


@pytest.mark.parametrize("fmt", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_large_numbers(fmt):
    data = made_by_tarfile(
        (info("x" * 300, uid=3_000_000_000), b""),
        (info("ln", type=tarfile.SYMTYPE, linkname="y" * 300), b""),
        fmt=fmt,
    )
    (long, _), (link, _) = members(data)
    assert long.path == b"x" * 300
    assert long.uid == 3_000_000_000
    assert link.target == b"y" * 300


def test_paths_are_normalised_but_climbing_is_kept_to_be_judged():
    data = made_by_tarfile(
        (info("./a//b/"), b""), (info("/abs"), b""), (info("../up"), b""), (info("./"), b"")
    )
    assert [entry.path for entry, _ in members(data)] == [b"a/b", b"abs", b"../up", b""]


SPARSE_FORMATS = (
    ["--format=gnu"],
    ["--format=pax", "--sparse-version=0.0"],
    ["--format=pax", "--sparse-version=0.1"],
    ["--format=pax", "--sparse-version=1.0"],
)
SPARSE_FILES = {
    "middle": (9 << 20, [0, 1 << 20, 5 << 20]),
    "end": (3 << 20, [(3 << 20) - 4096]),
    "hole": (5 << 20, []),
    "many": (16 << 20, range(0, 16 << 20, 1 << 16)),
    "d/" + "long" * 60: (1 << 20, [4096]),
}


@pytest.mark.parametrize("arguments", SPARSE_FORMATS)
def test_sparse_files_of_gnu_tar(tmp_path, arguments):
    (tmp_path / "d").mkdir()
    for name, (size, offsets) in SPARSE_FILES.items():
        with (tmp_path / name).open("wb") as file:
            for offset in offsets:
                file.seek(offset)
                file.write(os.urandom(4096))
            file.truncate(size)
    command = ["tar", "-c", "--sparse", *arguments, "-C", str(tmp_path), *SPARSE_FILES]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    assert len(data) < 2 << 20, "tar did not store it sparse"
    found = [(entry.path.decode(), rebuilt(entry, content)) for entry, content in read_members(Trickle(data))]
    assert [name for name, _ in found] == list(SPARSE_FILES)
    assert all(content == (tmp_path / name).read_bytes() for name, content in found)


class Trickle(io.BytesIO):
    """A source that returns less than it is asked for, as a connection does."""

    def read(self, size=-1, /):
        return super().read(min(size, 300))


def rebuilt(entry, content) -> bytes:
    made = bytearray(entry.size)
    for extent in content.extents:
        piece = b""
        while len(piece) < extent.size:
            piece += content.read(extent.size - len(piece))
        made[extent.offset : extent.offset + extent.size] = piece
    return bytes(made)


def sparse(records: list[tuple[str, str]], stored: bytes = b"") -> bytes:
    """Return an archive of one member with PAX records, some of them more than once, and another member."""
    body = b""
    for key, value in records:
        text = f" {key}={value}\n".encode()
        length = next(n for n in range(len(text), len(text) + 10) if n == len(text) + len(str(n)))
        body += str(length).encode() + text
    return _raw(b"x", len(body), body) + made_by_tarfile((info("f"), stored), (info("next"), b"n"))


def parts(*numbers: object) -> list[tuple[str, str]]:
    return [
        (f"GNU.sparse.{'numbytes' if n % 2 else 'offset'}", str(value)) for n, value in enumerate(numbers)
    ]


def size(value: object, blocks: object) -> list[tuple[str, str]]:
    return [("GNU.sparse.size", str(value)), ("GNU.sparse.numblocks", str(blocks))]


def test_sparse_maps_without_a_version_are_read():
    for records in (
        size(9, 2) + parts(1, 2, 5, 1),
        [*size(9, 2), ("GNU.sparse.map", "1,2,5,1"), ("GNU.sparse.name", "f")],
    ):
        (entry, content), (following, _) = [
            (entry, rebuilt(entry, content) if content.extents else b"")
            for entry, content in read_members(io.BytesIO(sparse(records, b"abc")))
        ]
        assert (entry.path, content, following.path) == (b"f", b"\0ab\0\0c\0\0\0", b"next")


def test_the_name_of_a_sparse_file_is_judged_like_any_other():
    records = [*size(3, 1), ("GNU.sparse.map", "0,3"), ("GNU.sparse.name", "./a//../b")]
    assert members(sparse(records, b"abc"))[0][0].path == b"a/../b"


def test_a_sparse_map_for_all_members_is_no_map():
    body = b"28 GNU.sparse.map=0,1,5,100\n"
    assert len(body) == 28
    data = _raw(b"g", len(body), body) + made_by_tarfile((info("f"), b"abc"))
    assert [content for _, content in members(data)] == [b"abc"]


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (size(9, 2) + parts(5, 1, 1, 2), "not in order"),
        (size(9, 2) + parts(0, 2, 1, 1), "not in order"),
        (size(9, 2) + parts(5, 0, 0, 3), "not in order"),
        (size(4, 1) + parts(2, 3), "not in order"),
        (size(9, 1) + parts(-1, 3), "instead of a number"),
        (size(9, 1) + parts(0, -3), "instead of a number"),
        (size(-9, 1) + parts(0, 3), "instead of a number"),
        (size(9, 1) + parts(0, 9), "more data than there is"),
        (size(9, 1) + parts(0, 2), "without an offset"),
        (size(9, 2) + parts(0, 3), "number of parts"),
        (size(9, 1) + parts(0, 1, 1, 2), "number of parts"),
        (size(9, 10**18) + parts(0, 3), "number of parts"),
        (size(9, "") + parts(0, 3), "instead of a number"),
        (size(9, 1) + parts(0), "number of parts"),
        ([*size(9, 1), ("GNU.sparse.numbytes", "3"), ("GNU.sparse.offset", "0")], "records of a sparse map"),
        (size(9, 1) + parts("0,3", 1), "records of a sparse map"),
        (size(9, 1) + parts("9" * 5000, 1), "instead of a number"),
        ([*size(9, 1), ("GNU.sparse.map", "0,3,")], "number of parts"),
        ([*size(9, 1), ("GNU.sparse.map", "0,x")], "instead of a number"),
        ([("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0")], "sparse format 2.0"),
    ],
)
def test_hostile_sparse_maps_are_refused(records, message):
    with pytest.raises(MalformedLayerError, match=message):
        members(sparse(records, b"abc"))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"x\n",
        b"9" * 5000 + b"\n",
        b"-1\n",
        b"2\n0\n3\n",
        b"1\n0\n\n",
        b"1\n0\n-3\n",
        b"1\n9\n3\n",
    ],
)
def test_hostile_sparse_maps_before_content_are_refused(text):
    version = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]
    with pytest.raises(MalformedLayerError):
        members(sparse(version, text + padding(len(text)) + b"abc"))


@pytest.mark.parametrize("line", [b"0\n", b"\n", b"7"])
def test_a_sparse_map_that_would_fill_memory_is_refused_soon(line):
    version = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]
    text = (b"999999999\n" + line * (4 * MAX_EXTENSION))[: 2 * MAX_EXTENSION]
    started = time.process_time()
    with pytest.raises(MalformedLayerError, match="limit"):
        members(sparse(version, text))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("flag", [b"x", b"g"])
def test_records_that_would_fill_memory_together_are_refused(flag):
    value = b"v" * 500_000
    bodies = [b"500010 k%d=" % n + value[:-1] + b"\n" for n in range(3)]
    assert len(bodies[0]) == 500_010
    with pytest.raises(MalformedLayerError, match="limit"):
        members(b"".join(_raw(flag, len(body), body) for body in bodies))


def test_unread_content_is_skipped():
    data = made_by_tarfile((info("a"), b"x" * 5000), (info("b"), b"y"))
    assert [entry.path for entry, _ in read_members(io.BytesIO(data))] == [b"a", b"b"]


def test_a_link_has_no_content_whatever_it_says():
    header = bytearray(made_by_tarfile((info("l", type=tarfile.SYMTYPE, linkname="t"), b""))[:512])
    header[124:136] = b"00000001000\0"
    data = bytes(_with_checksum(header)) + made_by_tarfile((info("next"), b""))
    assert [entry.path for entry, _ in members(data)] == [b"l", b"next"]
