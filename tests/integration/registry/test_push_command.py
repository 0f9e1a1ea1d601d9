"""`strake push` from what builds and other tools write, into a real registry; `executor push`, too."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile

import pytest

from strake_oci.registry.images import RegistryImages
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.stores.layout import Layout
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import make_image, make_index
from tests.fixtures.servers.registry import running_registry


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        yield running


def push(*words, program=STRAKE, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    return run_strake([program, "push", *words], environment)


def docker_archive(path, layers, *, tags=("r.example/app:1",), links=False, config=None):
    """Write an archive as `docker save` did before version 25, or with gzip in it as kaniko's --tar-path."""
    diffs = [f"sha256:{Digest.sha256(layer).encoded}" for layer in layers]
    config = config or {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    listed = [{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]
    with tarfile.open(path, "w") as tar:
        for number, (name, layer) in enumerate(zip(names, layers, strict=True)):
            entry = tarfile.TarInfo(name)
            if links and number:
                entry.type, entry.linkname = tarfile.SYMTYPE, "../0/layer.tar"
                tar.addfile(entry)
            else:
                entry.size = len(layer)
                tar.addfile(entry, io.BytesIO(layer))
        for name, document in (("config.json", config), ("manifest.json", listed)):
            data = json.dumps(document).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def pulled(registry, repository, tag):
    """Return the descriptor, the manifest and the layers of an image in a registry."""
    with registry.client() as client:
        images = RegistryImages(client, registry.repository(repository))
        found = images.resolve(tag)
        manifest = parse(images.manifest(found), found.media_type)
        assert isinstance(manifest, Manifest)
        layers = []
        for layer in manifest.layers:
            with images.open_blob(layer) as blob:
                layers.append(blob.read())
    return found, manifest, layers


class TestLayouts:
    def test_every_platform_to_every_destination(self, registry, tmp_path):
        index = make_index("linux/amd64", "linux/arm64")
        index.write(Layout(tmp_path / "out", create=True), "1")
        before = len(registry.requests())
        names = [f"{registry.host}/lay/{name}:1" for name in ("one", "two")]
        files = [f"--{name}={tmp_path}/{name}" for name in ("digest-file", "image-name-tag-with-digest-file")]
        done = push(tmp_path / "out", *names, "--insecure", *files)
        assert (done.returncode, done.stdout) == (0, f"{index.descriptor.digest}\n"), done.stderr
        assert (tmp_path / "digest-file").read_text() == str(index.descriptor.digest)
        written = (tmp_path / "image-name-tag-with-digest-file").read_text()
        assert written == "".join(f"{name}@{index.descriptor.digest}\n" for name in names)
        with registry.client() as client:
            for name in ("lay/one", "lay/two"):
                assert RegistryImages(client, registry.repository(name)).resolve("1") == index.descriptor
        assert len([line for line in registry.requests()[before:] if "mount=" in line]) == len(
            index.all_blobs
        )

    def test_one_of_several_by_its_tag_and_platform(self, registry, tmp_path):
        layout = Layout(tmp_path / "out", create=True)
        index = make_index("linux/amd64", "linux/arm64")
        index.write(layout, "many")
        make_image(b"other").write(layout, "other")
        done = push(f"{tmp_path}/out", f"{registry.host}/lay/x:1", "--insecure")
        assert done.returncode == 5
        assert "several images; name one" in done.stderr
        one = push(
            f"{tmp_path}/out:many", "-d", f"{registry.host}/lay/x:1", "--insecure", "--platform=linux/arm64"
        )
        assert one.stdout == f"{index.children[1].descriptor.digest}\n", one.stderr


class TestArchives:
    @pytest.mark.parametrize("flag", ["--tar-path", "--output=type=oci,dest"])
    def test_what_a_build_wrote(self, registry, tmp_path, flag):
        (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
        words = [
            STRAKE,
            "build",
            "-c",
            tmp_path,
            f"{flag}={tmp_path}/image.tar",
            "--no-push",
            "-d",
            "a.example/b:1",
        ]
        subprocess.run([*words, "--digest-file", tmp_path / "digest"], check=True, capture_output=True)
        done = push(tmp_path / "image.tar", f"{registry.host}/arc/built:1", "--insecure")
        assert (done.returncode, done.stdout.strip()) == (0, (tmp_path / "digest").read_text()), done.stderr

    @pytest.mark.parametrize("packed", [False, True])
    def test_what_docker_wrote_before_version_25(self, registry, tmp_path, packed):
        plain = [os.urandom(9000), b"a layer" * 100]
        layers = [gzip.compress(layer) for layer in plain] if packed else plain
        diffs = [str(Digest.sha256(layer)) for layer in plain]
        rootfs = {"type": "layers", "diff_ids": diffs}
        config = {"architecture": "amd64", "os": "linux", "rootfs": rootfs}
        archive = docker_archive(tmp_path / "image.tar", layers, config=config)
        done = push(archive, f"{registry.host}/arc/old:1", "--insecure")
        assert done.returncode == 0, done.stderr
        found, manifest, there = pulled(registry, "arc/old", "1")
        assert there == layers
        assert done.stdout == f"{found.digest}\n"
        kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if packed else "")
        assert {layer.media_type for layer in manifest.layers} == {kind}

    def test_what_skopeo_writes(self, registry, tmp_path):
        image = make_image(b"\0" * 10240)
        image.write(Layout(tmp_path / "out", create=True), "1")
        archive = tmp_path / "image.tar"
        copied = ["skopeo", "copy", f"oci:{tmp_path}/out:1", f"docker-archive:{archive}:r.example/app:2"]
        subprocess.run(copied, check=True, capture_output=True)
        done = push(f"{archive}:r.example/app:2", f"{registry.host}/arc/skopeo:1", "--insecure")
        assert done.returncode == 0, done.stderr
        assert pulled(registry, "arc/skopeo", "1")[2] == [b"\0" * 10240]

    def test_a_layer_that_is_a_link_to_another(self, registry, tmp_path):
        archive = docker_archive(tmp_path / "image.tar", [b"same" * 300] * 2, links=True)
        done = push(archive, f"{registry.host}/arc/links:1", "--insecure")
        assert done.returncode == 0, done.stderr
        assert pulled(registry, "arc/links", "1")[2] == [b"same" * 300] * 2

    def test_an_image_that_is_not_there(self, registry, tmp_path):
        archive = docker_archive(tmp_path / "image.tar", [b"layer"], tags=["a.example/b:1"])
        done = push(f"{archive}:c.example/d:1", f"{registry.host}/arc/bad:1", "--insecure")
        assert done.returncode == 5
        assert "there is a.example/b:1" in done.stderr

    def test_a_config_that_tells_of_other_layers(self, registry, tmp_path):
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
        archive = docker_archive(tmp_path / "image.tar", [b"layer"], config=config)
        done = push(archive, f"{registry.host}/arc/bad:1", "--insecure")
        assert done.returncode == 5
        assert "the config tells of 0 layers, manifest.json of 1" in done.stderr

    @pytest.mark.parametrize(
        "document",
        [
            "{",
            "{}",
            "[1]",
            "[]",
            '[{"Config": 1}]',
            '[{"Config": "no", "Layers": []}]',
            '[{"Layers": [1]}]',
            "[" * 9000,
        ],
    )
    def test_what_is_no_list_of_images(self, registry, tmp_path, document):
        with tarfile.open(tmp_path / "image.tar", "w") as tar:
            entry = tarfile.TarInfo("manifest.json")
            entry.size = len(document)
            tar.addfile(entry, io.BytesIO(document.encode()))
        done = push(tmp_path / "image.tar", f"{registry.host}/arc/bad:1", "--insecure")
        assert done.returncode == 5, done.stderr
        assert f"cannot copy {tmp_path}/image.tar: " in done.stderr

    @pytest.mark.parametrize("size", [100, 700, 3000, 9000])
    def test_an_archive_that_breaks_off(self, registry, tmp_path, size):
        archive = docker_archive(tmp_path / "image.tar", [b"layer" * 2000])
        archive.write_bytes(archive.read_bytes()[:size])
        done = push(archive, f"{registry.host}/arc/bad:1", "--insecure")
        assert done.returncode == 5, done.stderr


class TestWords:
    def test_kanikos_executor(self, registry, tmp_path):
        program = tmp_path / "executor"
        program.symlink_to(STRAKE)
        archive = docker_archive(tmp_path / "image.tar", [b"layer"])
        words = [
            "--insecure=true",
            "--skip-tls-verify=false",
            "--push-retry",
            "3",
            f"-d={registry.host}/exe/app:1",
        ]
        done = push(*words, archive, program=program)
        assert done.returncode == 0, done.stderr
        assert pulled(registry, "exe/app", "1")[2] == [b"layer"]

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["FILE"], 2, "name an image: strake push PATH IMAGE"),
            (["r.example/app:1", "r.example/app:2"], 2, "`strake copy` takes images of registries"),
            (["FILE", "oci:/tmp/x"], 2, "`strake copy` writes files"),
            (["FILE", "r.example/app@sha256:" + "0" * 64], 2, "name a tag"),
            (["/etc/passwd", "r.example/app:1"], 5, "is no tar"),
            (["/etc", "r.example/app:1"], 5, "oci-layout"),
        ],
    )
    def test_what_is_wrong_is_told(self, tmp_path, words, status, message):
        archive = docker_archive(tmp_path / "image.tar", [b"layer"])
        done = push(*[str(archive) if word == "FILE" else word for word in words])
        assert done.returncode == status, done.stderr
        assert message in done.stderr
        assert done.stdout == ""
