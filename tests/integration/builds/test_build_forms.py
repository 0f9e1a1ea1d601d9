"""The form of the image: what registries, skopeo and consumers of older kinds see."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile

import pytest
import zstandard

from strake_oci.spec import mediatype
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.fixtures.narrow import instance, present

SUFFIX = {"gzip": "gzip", "zstd": "zstd", "none": "tar"}
UNPACK = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "none": bytes,
}


def pushed(builder):
    """The manifest, and the last layer's blob."""
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        descriptor, data = client.manifest(reference.repository, reference.tag)
        manifest = parse(data, descriptor.media_type)
        with client.open_blob(reference.repository, instance(manifest, Manifest).layers[-1]) as blob:
            return manifest, b"".join(iter(lambda: blob.read(1 << 20), b""))


@pytest.mark.parametrize(
    "flags",
    [
        ("gzip", "0"),
        ("gzip", "9"),
        ("zstd", "1"),
        ("zstd", "19"),
        ("none", None),
        ("uncompressed", None),
    ],
    ids=str,
)
def test_new_layers_are_packed_as_asked(builder, flags):
    compression, level = flags
    builder.context("FROM TINY\nRUN echo packed > /new")
    done = builder.run("--compression", compression, *(("--compression-level", level) if level else ()))
    assert done.returncode == 0, done.stderr
    manifest, blob = pushed(builder)
    name = "none" if compression == "uncompressed" else compression
    assert manifest.layers[-1].media_type.endswith(SUFFIX[name])
    assert manifest.layers[0].media_type == mediatype.OCI_LAYER_GZIP  # the base stays as it is
    with tarfile.open(fileobj=io.BytesIO(UNPACK[name](blob)), mode="r:") as tar:
        assert present(tar.extractfile("new")).read() == b"packed\n"


def test_an_image_under_dockers_names(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo x > /x")
    done = builder.run("--media-types", "docker", "--oci-layout-path", str(tmp_path / "layout"))
    assert done.returncode == 0, done.stderr
    manifest, _ = pushed(builder)
    assert manifest.media_type == mediatype.DOCKER_MANIFEST
    assert manifest.config.media_type == mediatype.DOCKER_CONFIG
    assert {layer.media_type for layer in manifest.layers} == {mediatype.DOCKER_LAYER_GZIP}
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{builder.destination}"],
        capture_output=True,
        check=True,
    )
    assert json.loads(raw.stdout)["mediaType"] == mediatype.DOCKER_MANIFEST
    copied = [
        "skopeo",
        "copy",
        "--src-tls-verify=false",
        f"docker://{builder.destination}",
        f"dir:{tmp_path}/copy",
    ]
    subprocess.run(copied, capture_output=True, check=True)  # checks every digest


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_archives_of_every_compression_are_read_by_others(builder, tmp_path, kind, compression):
    builder.context("FROM TINY\nRUN echo x > /x")
    archive = f"type={kind},dest={tmp_path}/image.tar,compression={compression}"
    done = builder.run("--no-push", "--output", archive)
    assert done.returncode == 0, done.stderr
    source = f"{'oci' if kind == 'oci' else 'docker'}-archive:{tmp_path}/image.tar"
    subprocess.run(["skopeo", "copy", source, f"dir:{tmp_path}/copy"], capture_output=True, check=True)
    config = json.loads((tmp_path / "copy/manifest.json").read_text())["config"]["digest"]
    configuration = json.loads((tmp_path / "copy" / config.removeprefix("sha256:")).read_text())
    assert len(configuration["rootfs"]["diff_ids"]) == 2


def test_labels_and_annotations(builder):
    builder.context('FROM TINY\nLABEL kept="from the file" team=old\nRUN true')
    done = builder.run(
        *(
            "--label",
            "team=web",
            "--label",
            "empty=",
            "--annotation",
            "org.opencontainers.image.source=https://x",
        ),
        *("--output", "type=registry,annotation.second=2"),
    )
    assert done.returncode == 0, done.stderr
    manifest, _ = pushed(builder)
    assert manifest.annotations == {"org.opencontainers.image.source": "https://x", "second": "2"}
    labels = builder.built().config.config.labels
    assert labels == {"kept": "from the file", "team": "web", "empty": ""}


def test_a_base_of_zstd_layers_has_no_docker_form(builder):
    builder.context("FROM TINY\nRUN true > /x")
    assert builder.run("--compression", "zstd").returncode == 0
    builder.context(f"FROM {builder.destination}\nRUN true > /y")
    done = builder.run("--media-types", "docker")
    assert done.returncode == 2
    assert "zstd layers" in done.stderr
    assert builder.run("--compression", "none").returncode == 0
    assert [layer.media_type for layer in pushed(builder)[0].layers[1:]] == [
        mediatype.OCI_LAYER_ZSTD,
        mediatype.OCI_LAYER,
    ]
