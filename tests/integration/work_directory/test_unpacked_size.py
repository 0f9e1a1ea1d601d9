"""Layers and archives that take more room than they may are refused before they fill the disk."""

from __future__ import annotations

import gzip
import io
import tarfile

import pytest

from strake_oci.spec.digest import DiffID, Digest
from tests.fixtures.content.hostile_images import HostileImages

MIB = 1 << 20
BLOCK = 4096
"""What each entry counts for besides its content."""
WAYS = {"a layer": 5, "a context": 4, "ADD": 6}
"""Exit status of a refusal."""


def tar(*members: tuple[str, int], **fields: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, size in members:
            info = tarfile.TarInfo(name)
            info.size = size
            for field, value in fields.items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(bytes(size)))
    return made.getvalue()


def sparse(stored: int, size: int) -> bytes:
    """A sparse file in GNU's form 1.0: some data at its start, and a hole."""
    table = f"1\n0\n{stored}\n".encode().ljust(512, b"\0")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("sparse")
        info.size = len(table) + stored
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "sparse",
            "GNU.sparse.realsize": str(size),
        }
        archive.addfile(info, io.BytesIO(table + bytes(stored)))
    return made.getvalue()


def attributes() -> bytes:
    """Files of nothing but extended attributes, which take 9 MB, and 12 MB for the entries."""
    headers = {"SCHILY.xattr.user.large": "x" * 3000}
    return tar(*((f"file-{number}", 0) for number in range(3000)), pax_headers=headers)


LARGE = {
    "one file": lambda: tar(("zeros", 200 * MIB)),
    "the sum": lambda: tar(*((f"file-{number}", MIB) for number in range(200))),
    "one name again and again": lambda: tar(*(("zeros", MIB) for _ in range(200))),
    "entries": lambda: tar(*((f"file-{number}", 0) for number in range(5000))),
    "directories made on the way": lambda: tar(*((f"{number}/" + "d/" * 90, 0) for number in range(100))),
    "links": lambda: tar(*((f"l{number}", 0) for number in range(5000)), type=tarfile.SYMTYPE, linkname="x"),
    "a sparse file's data": lambda: sparse(20 * MIB, 100 * MIB),
    "attributes": attributes,
}
"""Archives that take more than 16 MiB, of at most 3 MB when packed."""


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


def build(builder, way: str, data: bytes, *flags: str, **environment: str):
    """Build with an archive in one of the ways there are."""
    packed = gzip.compress(data, 6)
    assert len(packed) < 3_000_000
    if way == "a layer":
        image = HostileImages(builder).push_packed([packed], (DiffID(Digest.sha256(data)),))
        builder.context(f"FROM {image}\nRUN true")
    else:
        steps = "FROM scratch\nCOPY . /x/" if way == "a context" else "FROM TINY\nADD archive.tar.gz /x/"
        context = builder.context(steps)
        (context / "archive.tar.gz").write_bytes(packed)
        if way == "a context":
            flags = (*flags, "--context", f"tar://{context}/archive.tar.gz", "-f", f"{context}/Dockerfile")
    return builder.run(*flags, **environment)


def refused(builder, way: str, done, limit: str) -> None:
    assert done.returncode == WAYS[way], done.stderr
    error = done.stderr.partition("error: ")[2]
    assert f"takes more than {limit} unpacked" in error
    assert {"a layer": "the layer sha256:", "a context": "the context", "ADD": "archive.tar.gz"}[way] in error
    assert "raise --max-unpacked-size" in error
    assert builder.tags() == []
    assert builder.left_behind() == []


@pytest.mark.parametrize("what", LARGE)
def test_what_is_larger_is_refused(builder, way, what):
    done = build(builder, way, LARGE[what](), "--max-unpacked-size", "16MiB")
    refused(builder, way, done, "16 MiB")


def test_what_just_fits_is_unpacked_and_one_byte_more_is_not(builder, way):
    data = tar(("one", 8 * MIB), ("two", 5), ("directory/file", 0))
    room = 8 * MIB + 5 + 4 * BLOCK
    done = build(builder, way, data, "--max-unpacked-size", str(room - 1))
    refused(builder, way, done, f"{room - 1} bytes")
    done = build(builder, way, data, "--max-unpacked-size", str(room))
    assert done.returncode == 0, done.stderr


def test_a_hole_takes_nothing(builder, way):
    done = build(builder, way, sparse(MIB, 100 * MIB), "--max-unpacked-size", "16MiB")
    assert done.returncode == 0, done.stderr


def test_the_environment_sets_the_ceiling(builder, way):
    done = build(builder, way, LARGE["one file"](), STRAKE_MAX_UNPACKED_SIZE="16MiB")
    refused(builder, way, done, "16 MiB")
