"""Archives and layouts of ours, read by others; and those of others, read by us."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile

import pytest

from strake_oci.errors import LayoutError
from strake_oci.stores.archive import ArchiveWriter
from strake_oci.stores.archive_reader import LayoutArchive
from strake_oci.stores.layout import Layout
from strake_oci.stores.memory import MemoryImages
from strake_oci.transfers.copying import copy_image
from tests.fixtures.content.images import make_image, make_index
from tests.fixtures.narrow import pipe_into
from tests.fixtures.servers.registry import registry  # noqa: F401 - a fixture


def skopeo(*arguments) -> str:
    done = subprocess.run(["skopeo", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def tar_layer(tmp_path):
    """A real tar: Docker's tools look inside."""
    path = tmp_path / "layer.tar"
    (tmp_path / "hello").write_text("hello\n")
    with tarfile.open(path, "w") as tar:
        tar.add(tmp_path / "hello", "hello")
    return path.read_bytes()


def written(path, image, name, **options):
    with path.open("wb") as file, ArchiveWriter(file, **options) as archive:
        image.write(archive, name)
    return path


def test_skopeo_reads_our_docker_archive(tmp_path, tar_layer):
    image = make_image(tar_layer, docker=True)
    path = written(tmp_path / "app.tar", image, "example.com/team/app:v1", docker=True)
    found = json.loads(skopeo("inspect", "--config", f"docker-archive:{path}:example.com/team/app:v1"))
    assert found["rootfs"]["diff_ids"] == [str(image.blobs[1][0].digest)]


def test_skopeo_reads_our_oci_archive(tmp_path, tar_layer):
    image = make_image(tar_layer)
    path = written(tmp_path / "app.tar", image, "v1")
    assert skopeo("inspect", "--format", "{{.Digest}}", f"oci-archive:{path}:v1").strip() == str(
        image.descriptor.digest
    )


def test_skopeo_reads_our_layout(tmp_path, tar_layer):
    image = make_image(tar_layer)
    image.write(Layout(tmp_path / "layout", create=True), "v1")
    found = skopeo("inspect", "--format", "{{.Digest}}", f"oci:{tmp_path / 'layout'}:v1")
    assert found.strip() == str(image.descriptor.digest)


def test_we_read_skopeos_layouts_and_archives(tmp_path, registry, tar_layer):  # noqa: F811 the fixture
    image = make_image(tar_layer)
    with registry.client() as client:
        from strake_oci.registry.images import RegistryImages

        image.write(RegistryImages(client, registry.repository("archives/app")), "v1")
    source = f"docker://{registry.host}/archives/app:v1"
    skopeo("copy", "--preserve-digests", "--src-tls-verify=false", source, f"oci:{tmp_path / 'layout'}:v1")
    skopeo(
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
        source,
        f"oci-archive:{tmp_path / 'app.tar'}:v1",
    )
    for store in (Layout(tmp_path / "layout"), LayoutArchive(tmp_path / "app.tar")):
        assert store.resolve("v1") == image.descriptor
        copy_image(store, "v1", MemoryImages(), "v1")


def test_docker_archive_refuses_an_index(tmp_path):
    with pytest.raises(LayoutError, match="name a platform"):
        written(tmp_path / "x.tar", make_index("linux/amd64", "linux/arm64"), "v1", docker=True)


def test_archive_goes_through_a_pipe(tmp_path):
    image = make_image()
    with (tmp_path / "out.tar").open("wb") as out:
        cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=out)
        with pipe_into(cat) as pipe, ArchiveWriter(pipe) as archive:
            image.write(archive, "v1")
        assert cat.wait() == 0
    assert LayoutArchive(tmp_path / "out.tar").resolve("v1") == image.descriptor


def test_same_images_make_the_same_archive(tmp_path):
    image = make_image()
    one = written(tmp_path / "one.tar", image, "v1", docker=True).read_bytes()
    assert written(tmp_path / "two.tar", image, "v1", docker=True).read_bytes() == one


class TestHostile:
    def test_layout_with_a_link_out_of_it(self, tmp_path):
        image = make_image(b"layer")
        layout = Layout(tmp_path / "layout", create=True)
        image.write(layout, "v1")
        descriptor = image.blobs[1][0]
        blob = tmp_path / "layout/blobs/sha256" / descriptor.digest.encoded
        blob.unlink()
        blob.symlink_to("/etc/passwd")
        with pytest.raises(LayoutError):
            layout.open_blob(descriptor)

    def test_layout_with_a_pipe_does_not_hang(self, tmp_path):
        layout = Layout(tmp_path / "layout", create=True)
        os.unlink(tmp_path / "layout/index.json")
        os.mkfifo(tmp_path / "layout/index.json")
        with pytest.raises(LayoutError, match="not a regular file"):
            layout.resolve()

    @pytest.mark.parametrize("content", [b"", b"not a tar", b"\x1f\x8b" + bytes(1000)])
    def test_file_that_is_no_archive(self, tmp_path, content):
        (tmp_path / "x.tar").write_bytes(content)
        with pytest.raises(LayoutError):
            LayoutArchive(tmp_path / "x.tar")

    def test_archive_with_a_huge_header(self, tmp_path):
        entry = tarfile.TarInfo("x")
        entry.type, entry.size = tarfile.XHDTYPE, 1 << 33
        with (tmp_path / "x.tar").open("wb") as file:
            file.write(entry.tobuf(tarfile.GNU_FORMAT))
            file.truncate(1 << 34)
        with pytest.raises(LayoutError):
            LayoutArchive(tmp_path / "x.tar")

    def test_layout_of_another_version(self, tmp_path):
        Layout(tmp_path, create=True)
        (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
        with pytest.raises(LayoutError, match="version"):
            Layout(tmp_path)

    def test_directory_that_is_no_layout(self, tmp_path):
        with pytest.raises(LayoutError, match="is it an OCI image layout"):
            Layout(tmp_path)
