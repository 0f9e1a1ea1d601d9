"""Headers that tarfile and GNU tar read back as they were meant."""

import io
import subprocess
import tarfile

import pytest

from strake_builder.layers.entry import Entry, EntryType
from strake_builder.layers.tar_writer import BLOCK, END_OF_ARCHIVE, encode_header, padding


def archive(*members: tuple[Entry, bytes]) -> bytes:
    parts = []
    for entry, content in members:
        parts += [encode_header(entry), content, padding(len(content))]
    return b"".join([*parts, END_OF_ARCHIVE])


def read_back(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


def test_a_plain_file_is_one_header_block():
    entry = Entry(b"etc/passwd", EntryType.FILE, 0o644, 0, 0, 5, 1_700_000_000)
    assert len(encode_header(entry)) == BLOCK
    (info,) = read_back(archive((entry, b"12345")))
    assert (info.name, info.mode, info.size, info.mtime) == ("etc/passwd", 0o644, 5, 1_700_000_000)


@pytest.mark.parametrize(
    "path",
    [
        b"a" * 100,
        b"a" * 101,
        b"d/" * 49 + b"f",
        b"d" * 155 + b"/" + b"f" * 100,
        b"d/" * 400 + b"f",
        b"x" * 300,
        "ж".encode(),
    ],
    ids=["100", "101", "split", "longest split", "deep", "long name", "not ascii"],
)
@pytest.mark.parametrize("kind", [EntryType.FILE, EntryType.DIRECTORY])
def test_paths_of_any_length_come_back(path, kind):
    (info,) = read_back(archive((Entry(path, kind), b"")))
    assert info.name.encode("utf-8", "surrogateescape") == path
    assert info.isdir() == (kind is EntryType.DIRECTORY)


def test_large_numbers_come_back():
    entry = Entry(b"f", EntryType.FILE, 0o7777, 4_000_000_000, 3_999_999_999, 0, 1 << 35)
    (info,) = read_back(archive((entry, b"")))
    assert (info.uid, info.gid, info.mtime, info.mode) == (4_000_000_000, 3_999_999_999, 1 << 35, 0o7777)


def test_a_size_beyond_8_gib_is_a_pax_record():
    header = encode_header(Entry(b"f", EntryType.FILE, size=(8 << 30) + 1))
    assert b" size=8589934593\n" in header


def test_links_devices_and_pipes_come_back():
    infos = read_back(
        archive(
            (Entry(b"ln", EntryType.SYMLINK, target=b"t" * 150), b""),
            (Entry(b"f", EntryType.FILE), b""),
            (Entry(b"hl", EntryType.HARD_LINK, target=b"f"), b""),
            (Entry(b"null", EntryType.CHAR_DEVICE, device=(1, 3)), b""),
            (Entry(b"sda", EntryType.BLOCK_DEVICE, device=(8, 0)), b""),
            (Entry(b"pipe", EntryType.FIFO), b""),
        )
    )
    assert infos[0].issym()
    assert infos[0].linkname == "t" * 150
    assert infos[2].islnk()
    assert infos[2].linkname == "f"
    assert (infos[3].devmajor, infos[3].devminor) == (1, 3)
    assert infos[4].isblk()
    assert infos[5].isfifo()


def test_binary_xattrs_come_back():
    value = b"\x01\x00\x00\x02\x00\xff=\n"
    (info,) = read_back(archive((Entry(b"f", EntryType.FILE, xattrs={b"security.capability": value}), b"")))
    stored = info.pax_headers["SCHILY.xattr.security.capability"]
    assert stored.encode("utf-8", "surrogateescape") == value


@pytest.mark.parametrize("length", [*range(80, 120), *range(980, 1010)])
def test_pax_records_count_themselves(length):
    (info,) = read_back(archive((Entry(b"f", EntryType.FILE, xattrs={b"user.x": b"v" * length}), b"")))
    assert info.pax_headers["SCHILY.xattr.user.x"] == "v" * length


def test_gnu_tar_reads_it(tmp_path):
    data = archive(
        (Entry(b"d", EntryType.DIRECTORY, 0o755), b""),
        (Entry(b"d/" + b"n" * 200, EntryType.FILE, 0o640, size=3), b"abc"),
        (Entry(b"d/\xff\xfe", EntryType.FILE, 0o600, size=1), b"x"),
    )
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=data, check=True)
    assert (tmp_path / "d" / ("n" * 200)).read_bytes() == b"abc"
    assert (
        sorted(p.name.encode("utf-8", "surrogateescape") for p in (tmp_path / "d").iterdir())[1]
        == b"\xff\xfe"
    )
