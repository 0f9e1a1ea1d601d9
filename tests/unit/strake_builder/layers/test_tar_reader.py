"""What other tools write is read; what an attacker writes is refused in bounded memory."""

import io
import os
import subprocess
import tarfile

import pytest

from strake_builder.layers.entry import EntryType
from strake_builder.layers.errors import MalformedLayer
from strake_builder.layers.tar_reader import MAX_EXTENSION, read_members
from strake_builder.layers.tar_writer import END_OF_ARCHIVE, padding


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


@pytest.mark.parametrize("arguments", [["--format=gnu"], ["--format=posix"]])
def test_sparse_files_of_gnu_tar(tmp_path, arguments):
    with (tmp_path / "s").open("wb") as file:
        for offset in (0, 1 << 20, 5 << 20):
            file.seek(offset)
            file.write(os.urandom(4096))
        file.truncate(9 << 20)
    data = subprocess.run(
        ["tar", "-c", "--sparse", *arguments, "-C", str(tmp_path), "s"], check=True, capture_output=True
    ).stdout
    assert len(data) < 1 << 20, "tar did not store it sparse"
    ((entry, _),) = list(read_members(io.BytesIO(data)))[:1]
    assert entry.path == b"s"
    assert entry.size == 9 << 20


def test_sparse_content_is_where_it_belongs(tmp_path):
    original = bytearray(3 << 20)
    original[1 << 20 : (1 << 20) + 5] = b"here!"
    (tmp_path / "s").write_bytes(b"")
    with (tmp_path / "s").open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"here!")
        file.truncate(3 << 20)
    data = subprocess.run(
        ["tar", "-c", "--sparse", "--format=posix", "-C", str(tmp_path), "s"], check=True, capture_output=True
    ).stdout
    for entry, content in read_members(io.BytesIO(data)):
        rebuilt = bytearray(entry.size)
        for extent in content.extents:
            piece = b""
            while len(piece) < extent.size:
                piece += content.read(extent.size - len(piece))
            rebuilt[extent.offset : extent.offset + extent.size] = piece
        assert rebuilt == original


def test_unread_content_is_skipped():
    data = made_by_tarfile((info("a"), b"x" * 5000), (info("b"), b"y"))
    assert [entry.path for entry, _ in read_members(io.BytesIO(data))] == [b"a", b"b"]


def test_a_link_has_no_content_whatever_it_says():
    header = bytearray(made_by_tarfile((info("l", type=tarfile.SYMTYPE, linkname="t"), b""))[:512])
    header[124:136] = b"00000001000\0"
    data = bytes(_with_checksum(header)) + made_by_tarfile((info("next"), b""))
    assert [entry.path for entry, _ in members(data)] == [b"l", b"next"]


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


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_an_extension_that_would_fill_memory_is_refused(flag):
    with pytest.raises(MalformedLayer, match="limit"):
        members(_raw(flag, MAX_EXTENSION + 1, b""))


@pytest.mark.parametrize(
    "body", [b"no length\n", b"999 a=b\n", b"5 a=b", b"8 abcdef\n", b"-1 a=b\n", b"9" * 40 + b" a=b\n"]
)
def test_malformed_pax_records_are_refused(body):
    with pytest.raises(MalformedLayer):
        members(_raw(b"x", len(body), body) + END_OF_ARCHIVE)


@pytest.mark.parametrize("record", [b"size=-5", b"uid=0x10", b"mtime=now", b"size=" + b"9" * 30])
def test_bad_numbers_in_pax_records_are_refused(record):
    body = b"%d %s\n" % (len(record) + 4 if len(record) + 4 > 9 else len(record) + 3, record)
    assert int(body.split()[0]) == len(body)
    with pytest.raises(MalformedLayer, match="PAX record"):
        members(_raw(b"x", len(body), body) + made_by_tarfile((info("f"), b"")))


@pytest.mark.parametrize("keep", [1, 511, 512 + 3, 512 + 600])
def test_a_truncated_archive_is_refused(keep):
    data = made_by_tarfile((info("f"), b"z" * 1000))
    with pytest.raises(MalformedLayer):
        members(data[:keep])


def test_noise_is_refused():
    with pytest.raises(MalformedLayer):
        members(b"\x01" * 4096)


def test_a_negative_number_is_refused():
    header = bytearray(made_by_tarfile((info("f"), b""))[:512])
    header[108:116] = b"\xff" * 8
    with pytest.raises(MalformedLayer, match="negative"):
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
