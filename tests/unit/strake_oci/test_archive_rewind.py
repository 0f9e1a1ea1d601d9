"""A blob that breaks off in an archive leaves nothing in it, where what was written can be taken back."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from strake_oci.errors import DigestMismatchError, LayoutError, SizeMismatchError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.stores.archive import ArchiveWriter
from strake_oci.stores.archive_reader import LayoutArchive
from tests.fixtures.content.images import make_image

BEFORE, AFTER = os.urandom(100_000), os.urandom(700)


def wrong(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def push(archive, data: bytes, content: bytes | None = None) -> None:
    descriptor = Descriptor.of("x", data)
    archive.push_blob(descriptor, lambda: io.BytesIO(data if content is None else content))


def attempt(archive) -> None:
    """Write an image, one of whose blobs comes wrong at first, in three ways."""
    push(archive, BEFORE)
    with pytest.raises(DigestMismatchError):
        push(archive, AFTER, wrong(AFTER))
    with pytest.raises(SizeMismatchError):
        push(archive, AFTER, AFTER[:-100])
    push(archive, AFTER)


def at_once(archive) -> None:
    """Write an image whose blobs come right."""
    push(archive, BEFORE)
    push(archive, AFTER)


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_the_archive_is_as_if_nothing_had_happened(tmp_path, kind):
    image = make_image(b"one")
    made = []
    for write in (attempt, at_once):
        with open(tmp_path / "image.tar", "w+b") if kind == "file" else io.BytesIO() as target:
            with ArchiveWriter(target) as archive:
                write(archive)
                image.write(archive, "1")
            target.seek(0)
            made.append(target.read())
    assert made[0] == made[1]
    (tmp_path / "whole.tar").write_bytes(made[0])
    assert LayoutArchive(tmp_path / "whole.tar").resolve("1") == image.descriptor


def test_the_first_blob_may_be_the_one(tmp_path):
    """What was written of it includes the folders that it is in."""
    path = tmp_path / "image.tar"
    with path.open("wb") as target, ArchiveWriter(target) as archive:
        with pytest.raises(DigestMismatchError):
            push(archive, AFTER, wrong(AFTER))
        push(archive, AFTER)
        make_image(b"one").write(archive, "1")
    with tarfile.open(path) as tar:
        assert tar.getnames()[:2] == ["blobs", "blobs/sha256"]


def test_what_an_archive_is_appended_to_is_not_touched(tmp_path):
    """A file opened to append says that it stands at its start until something is written."""
    path = tmp_path / "log"
    path.write_bytes(b"another's")
    with path.open("ab") as target:
        archive = ArchiveWriter(target)
        with pytest.raises(DigestMismatchError):
            push(archive, AFTER, wrong(AFTER))
        with pytest.raises(DigestMismatchError):  # refused: what broke off stands in the archive
            push(archive, BEFORE)
    assert path.read_bytes().startswith(b"another's")
    assert BEFORE not in path.read_bytes()


def test_a_pipe_is_spoiled():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb") as target:
        archive = ArchiveWriter(target)
        for content in (wrong(AFTER), AFTER):
            with pytest.raises(DigestMismatchError):
                push(archive, AFTER, content)


def test_a_full_disk_is_reported():
    with open("/dev/full", "wb", buffering=0) as target, pytest.raises(LayoutError, match="No space"):
        push(ArchiveWriter(target), AFTER)
