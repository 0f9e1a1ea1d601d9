"""Extended attributes that the work directory's file system does not take: not a full disk, and named."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import pytest

from strake_oci.spec.digest import DiffID, Digest
from tests.fixtures.building.file_systems import ext4
from tests.fixtures.content.hostile_images import HostileImages

VALUE = "x" * 20_000
MESSAGE = "the extended attribute 'user.large' of 'file' (20,000 bytes) is larger than the file system"


@pytest.fixture
def narrow(builder):
    """A builder whose work directory has 4 KiB for the attributes of a file, and plenty of room."""
    with ext4(builder.work, "64M"):
        yield builder


def archive(**fields: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("dir/file")
        info.pax_headers = {"SCHILY.xattr.user.large": VALUE}
        for field, value in fields.items():
            setattr(info, field, value)
        tar.addfile(info)
    return made.getvalue()


def refused(builder, status: int, *words: str) -> None:
    done = builder.run(*builder_flags(builder))
    assert done.returncode == status, done.stderr
    error = done.stderr.partition("error: ")[2]
    assert MESSAGE in error
    for each in words:
        assert each in error
    assert "full" not in error
    assert builder.tags() == []


def builder_flags(builder) -> list[str]:
    archive = builder.directory / "context.tar"
    return ["--context", f"tar://{archive}"] if archive.exists() else []


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE], ids=["a file", "a directory"])
class TestArchives:
    def test_add(self, narrow, kind):
        context = narrow.context("FROM TINY\nADD archive.tar /x/")
        (context / "archive.tar").write_bytes(archive(type=kind))
        refused(narrow, 6, "archive.tar: cannot unpack 'dir/file'", "Dockerfile:2")

    def test_a_layer(self, narrow, kind):
        data = archive(type=kind)
        layer = HostileImages(narrow).push_packed([gzip.compress(data)], (DiffID(Digest.sha256(data)),))
        narrow.context(f"FROM {layer}\nRUN true")
        refused(narrow, 5, "cannot unpack the layer sha256:", "cannot unpack 'dir/file'")

    def test_a_context(self, narrow, kind):
        (narrow.directory / "context.tar").write_bytes(archive(type=kind))
        refused(narrow, 4, "cannot unpack 'dir/file'")


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_copy(narrow, tmp_path, rootfs):
    with ext4(tmp_path / "roomy", "16M", "-O", "ea_inode") as context:
        (context / "Dockerfile").write_text(f"FROM {narrow.names['TINY']}\nCOPY file /x/\n")
        (context / "file").touch()
        os.setxattr(context / "file", "user.large", VALUE.encode())
        done = narrow.run("--context", str(context), "--rootfs", rootfs)
    assert done.returncode == 6, done.stderr
    assert MESSAGE in done.stderr
    assert "Dockerfile:2" in done.stderr
    assert "full" not in done.stderr
