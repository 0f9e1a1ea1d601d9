"""`strake index create` between real registries, layouts and archives, as a person would call it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from strake_oci.errors import NotFoundError
from strake_oci.registry.images import RegistryImages
from strake_oci.stores.archive_reader import LayoutArchive
from strake_oci.stores.layout import Layout
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import make_image, make_index

ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def create(*words: object) -> subprocess.CompletedProcess[str]:
    return run_strake([STRAKE, "index", "create", "--insecure", *words], ENVIRONMENT)


@pytest.fixture
def registry(base_registry):
    return base_registry


@pytest.fixture
def images(registry, tmp_path):
    """An image for each of two platforms, in two repositories of a registry of this test's own names."""
    made = {each: make_image(os.urandom(50), platform=f"linux/{each}") for each in ("amd64", "arm64")}
    with registry.client() as client:
        for architecture, image in made.items():
            repository = registry.repository(f"{tmp_path.name}/{architecture}")
            image.write(RegistryImages(client, repository), "1")
    return made


def names(registry, tmp_path: Path) -> list[str]:
    return [f"{registry.host}/{tmp_path.name}/{each}:1" for each in ("amd64", "arm64")]


def test_images_of_two_repositories_get_one_name(registry, images, tmp_path):
    destination = f"{registry.host}/{tmp_path.name}/app:1"
    digest = tmp_path / "digest"
    done = create(
        destination, *names(registry, tmp_path), "--annotation", "team=web", "--digest-file", digest
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{digest.read_text()}\n"
    with registry.client() as client:
        store = RegistryImages(client, registry.repository(f"{tmp_path.name}/app"))
        found = store.resolve("1")
        index = json.loads(store.manifest(found))
        assert str(found.digest) == digest.read_text()
        assert index["annotations"] == {"team": "web"}
        assert [each["platform"] for each in index["manifests"]] == [
            {"architecture": each, "os": "linux"} for each in images
        ]
        for image in images.values():
            assert store.manifest(image.descriptor) == image.data
            assert all(store.has_blob(blob.digest) for blob, _ in image.blobs)


def test_an_index_grows_by_an_image_of_a_layout(registry, images, tmp_path):
    destination = f"{registry.host}/{tmp_path.name}/app:1"
    assert create(destination, *names(registry, tmp_path)).returncode == 0
    make_image(os.urandom(50), platform="linux/riscv64").write(Layout(tmp_path / "out", create=True), "v")
    done = create(destination, destination, f"oci:{tmp_path / 'out'}:v")
    assert done.returncode == 0, done.stderr
    with registry.client() as client:
        store = RegistryImages(client, registry.repository(f"{tmp_path.name}/app"))
        index = json.loads(store.manifest(store.resolve("1")))
    assert [each["platform"]["architecture"] for each in index["manifests"]] == [*images, "riscv64"]


def test_a_file_has_all_of_it(registry, images, tmp_path):
    done = create(f"oci-archive:{tmp_path / 'both.tar'}:1", *names(registry, tmp_path))
    assert done.returncode == 0, done.stderr
    archive = LayoutArchive(str(tmp_path / "both.tar"))
    assert str(archive.resolve("1").digest) == done.stdout.strip()
    assert [archive.manifest(each.descriptor) for each in images.values()] == [
        each.data for each in images.values()
    ]


def test_a_dry_run_prints_the_index_and_pushes_nothing(registry, images, tmp_path):
    destination = f"{registry.host}/{tmp_path.name}/app:1"
    done = create("--dry-run", destination, *names(registry, tmp_path))
    digests = [each["digest"] for each in json.loads(done.stdout)["manifests"]]
    assert digests == [str(image.descriptor.digest) for image in images.values()]
    with registry.client() as client, pytest.raises(NotFoundError):
        RegistryImages(client, registry.repository(f"{tmp_path.name}/app")).resolve("1")


def test_two_images_for_one_platform_move_no_tag(registry, images, tmp_path):
    destination = names(registry, tmp_path)[0]
    make_image(os.urandom(50)).write(Layout(tmp_path / "out", create=True), "v")
    done = create(destination, destination, f"oci:{tmp_path / 'out'}:v")
    assert done.returncode == 2
    assert "are both for linux/amd64" in done.stderr
    with registry.client() as client:
        store = RegistryImages(client, registry.repository(f"{tmp_path.name}/amd64"))
        assert store.resolve("1").digest == images["amd64"].descriptor.digest


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("docker-archive:x.tar:app:1", "app"), 2, "has one image"),
        (("HOST/app@sha256:" + "0" * 64, "app"), 2, "has a digest"),
        (("HOST/app:1", "HOST/nothing:1"), 5, "nothing:1"),
        (("HOST/app:1", "HOST/app:1", "--annotation", "team"), 2, "write NAME=VALUE"),
    ],
)
def test_what_makes_no_index_is_told(registry, words, status, message):
    done = create(*(word.replace("HOST", registry.host) for word in words))
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_index_alone_is_copied_as_it_is(registry, tmp_path):
    index = make_index("linux/amd64", "linux/arm64")
    with registry.client() as client:
        store = RegistryImages(client, registry.repository(f"{tmp_path.name}/whole"))
        index.write(store, "1")
        done = create(f"{registry.host}/{tmp_path.name}/whole:2", f"{registry.host}/{tmp_path.name}/whole:1")
        assert done.returncode == 0, done.stderr
        copied = json.loads(store.manifest(store.resolve("2")))
    assert copied == json.loads(index.data)
