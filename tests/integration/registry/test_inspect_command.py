"""`strake inspect` of images in registries, layouts and archives."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from strake_oci.registry.images import RegistryImages
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.image import ImageConfig, RuntimeConfig
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.platform import Platform
from strake_oci.stores.layout import Layout
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import MadeImage, make_image, make_index
from tests.fixtures.servers.registry import running_registry
from tests.integration.registry.test_push_command import docker_archive


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        yield running


ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def inspect(*words):
    return run_strake([STRAKE, "inspect", *words], ENVIRONMENT)


def raw(*words) -> bytes:
    done = subprocess.run(
        [STRAKE, "inspect", "--insecure", "--raw", *words], capture_output=True, env=ENVIRONMENT, timeout=180
    )
    return done.stdout


def documented(*words):
    done = inspect("--format=json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def index(registry):
    made = make_index("linux/amd64", "linux/arm64/v8")
    with registry.client() as client:
        made.write(RegistryImages(client, registry.repository("team/many")), "1")
    return made


@pytest.fixture
def name(registry, index):
    return f"{registry.host}/team/many:1"


def test_an_index(name, index):
    done = inspect(name, "--insecure")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"Name:        {name}"
    assert lines[1] == f"Digest:      {index.descriptor.digest}"
    assert "Platforms:   linux/amd64, linux/arm64" in done.stdout
    for child in index.children:
        assert str(child.descriptor.digest) in done.stdout
        assert all(str(layer.digest) in done.stdout for layer, _ in child.blobs[1:])
    assert '  Cmd:         ["/bin/true"]' in lines


def test_as_a_document(name, index):
    found = documented(name, "--insecure")
    assert found["digest"] == str(index.descriptor.digest)
    assert found["size"] == sum({blob.digest: blob.size for blob, _ in index.all_blobs}.values())
    assert [image["digest"] for image in found["images"]] == [
        str(each.descriptor.digest) for each in index.children
    ]
    first = found["images"][0]
    assert first["platform"] == "linux/amd64"
    assert first["config"]["Cmd"] == ["/bin/true"]
    assert [layer["size"] for layer in first["layers"]] == [
        blob.size for blob, _ in index.children[0].blobs[1:]
    ]


def test_one_platform(name, index):
    found = documented(name, "--insecure", "--platform=linux/arm64")
    assert found["digest"] == str(index.children[1].descriptor.digest)
    missing = inspect(name, "--insecure", "--platform=linux/s390x")
    assert missing.returncode == 5
    assert "no image for platform" in missing.stderr


def test_the_bytes_themselves(name, index):
    assert raw(name) == index.data
    assert raw(name, "--platform=linux/amd64") == index.children[0].data


def test_layouts_and_archives(tmp_path):
    image = make_image()
    image.write(Layout(tmp_path / "out", create=True), "1")
    archive = docker_archive(tmp_path / "old.tar", [b"layer"])
    for where in (f"{tmp_path}/out", f"{tmp_path}/out:1", f"oci:{tmp_path}/out:1"):
        assert documented(where)["digest"] == str(image.descriptor.digest)
    assert documented(archive)["platforms"] == ["linux/amd64"]
    assert documented(f"docker-archive:{archive}:r.example/app:1")["images"][0]["layers"][0]["size"] == 5
    beside = subprocess.run(
        [STRAKE, "inspect", "--format=json", "./out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(beside.stdout)["digest"] == str(image.descriptor.digest)


def test_what_an_image_tells_moves_no_cursor(tmp_path):
    labels = {"evil": "\x1b]0;title\x07\x1b[2J", "ok": "yes"}
    config = ImageConfig(Platform.parse("linux/amd64"), RuntimeConfig(labels=labels)).serialize()
    described = Descriptor.of(mediatype.OCI_CONFIG, config)
    data = Manifest(described, (), annotations={"a\x1b[1mb": "c"}).serialize()
    image = MadeImage(Descriptor.of(mediatype.OCI_MANIFEST, data), data, ((described, config),))
    image.write(Layout(tmp_path / "out", create=True), "1")
    done = inspect(tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "  ok: yes" in done.stdout
    assert documented(tmp_path / "out")["images"][0]["config"]["Labels"] == labels


def test_an_artifact(tmp_path):
    config = Descriptor.of(mediatype.OCI_EMPTY, b"{}")
    layer = Descriptor.of("application/vnd.example.chart.v1.tar", b"chart")
    data = Manifest(config, (layer,), artifact_type="application/vnd.example.chart").serialize()
    blobs = ((config, b"{}"), (layer, b"chart"))
    MadeImage(Descriptor.of(mediatype.OCI_MANIFEST, data), data, blobs).write(
        Layout(tmp_path / "out", create=True), "1"
    )
    done = inspect(tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Artifact:    application/vnd.example.chart" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["a/B"], 2, "lower-case"),
        (["/nonexistent"], 2, "there is no file or directory /nonexistent"),
        (["oci:/nonexistent"], 5, "/nonexistent"),
        (["--insecure", "HERE/team/none:1"], 5, "no such image"),
        (["--raw", "--format=json", "a"], 2, "not allowed with"),
    ],
)
def test_what_is_wrong_is_told(registry, words, status, message):
    done = inspect(*[word.replace("HERE", registry.host) for word in words])
    assert done.returncode == status, done.stderr
    assert message in done.stderr
