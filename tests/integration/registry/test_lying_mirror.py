"""A mirror that serves other layers than it should: the image is right, and the mirror is named."""

from __future__ import annotations

import json
import subprocess

import pytest

from strake_oci.stores.layout import Layout
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.images.push import push_image


@pytest.fixture
def mirror(base_registry):
    """A mirror of the base images, each blob with its last byte changed."""
    with FaultyRegistry() as running:
        push_image("tiny", f"{running.host}/library/busybox:1")
        for name, data in running.store.blobs.items():
            running.store.blobs[name] = data[:-1] + bytes([data[-1] ^ 1])
        yield running


@pytest.fixture
def flags(base_registry, mirror):
    flags = ["--registry-map", f"{base_registry.host}={mirror.host}", "--insecure-registry", mirror.host]
    return [*flags, "--insecure-registry", base_registry.host]


def test_a_build_succeeds_and_says_so(builder, mirror, flags):
    builder.context("FROM TINY\nRUN echo 1 > /1")
    done = builder.run(*flags, "--log-format", "json")
    result = json.loads(done.stdout.splitlines()[-1])["result"]
    assert done.returncode == 0, done.stderr
    (warning,) = [entry["message"] for entry in result["warnings"] if "mirror" in entry["message"]]
    assert f"the mirror {mirror.host}/library/busybox does not serve what it should" in warning
    assert builder.built().paths["/1"]


def test_a_copy_succeeds_and_says_so(base_registry, mirror, flags, tmp_path):
    words = ["copy", *flags, f"{base_registry.host}/library/busybox:1", f"oci:{tmp_path}/layout:1"]
    done = run_strake([STRAKE, *words])
    assert done.returncode == 0, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert f"the mirror {mirror.host}/library/busybox" in warning
    assert "take it out of the settings" in warning
    assert str(Layout(tmp_path / "layout").resolve("1").digest) == done.stdout.strip()


def test_provenance_is_printed_and_it_is_said(builder, mirror, flags):
    builder.context("FROM TINY\nLABEL a=b")
    made = builder.run("--provenance=min", "--attestation-form=index")
    assert made.returncode == 0, made.stderr
    name = f"{mirror.host}/{builder.name}"
    insecure = ["--insecure-registry", mirror.host, "--insecure-registry", builder.registry.host]
    copied = run_strake([STRAKE, "copy", *insecure, builder.destination, f"{name}:1"])
    assert copied.returncode == 0, copied.stderr
    for digest, data in mirror.store.blobs.items():
        mirror.store.blobs[digest] = data[:-1] + bytes([data[-1] ^ 2])
    done = run_strake([STRAKE, "attestations", *flags, builder.destination, "--print", "provenance"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predicateType"] == "https://slsa.dev/provenance/v1"
    assert done.stderr.startswith(f"warning: the mirror {name} does not serve what it should")


def test_a_copy_to_a_file_takes_back_what_was_wrong(base_registry, mirror, flags, tmp_path):
    name, archive = f"{base_registry.host}/library/busybox:1", tmp_path / "image.tar"
    words = ["copy", *flags, name, f"docker-archive:{archive}:busybox:1"]
    done = run_strake([STRAKE, *words])
    assert done.returncode == 0, done.stderr
    inspect = ["skopeo", "inspect", f"docker-archive:{archive}:busybox:1"]
    assert subprocess.run(inspect, capture_output=True).returncode == 0
    with archive.open("rb") as file:  # a reader that knows nothing of ours
        assert subprocess.run(["tar", "-t"], stdin=file, capture_output=True).returncode == 0


def test_a_copy_to_a_pipe_cannot(base_registry, mirror, flags):
    words = ["copy", *flags, f"{base_registry.host}/library/busybox:1", "oci-archive:-"]
    done = subprocess.run([STRAKE, *words], capture_output=True, timeout=180)
    assert done.returncode == 5
    assert f"mirror {mirror.host}/library/busybox served it" in done.stderr.decode()


def test_a_build_to_a_file_takes_back_what_was_wrong(builder, mirror, flags):
    archive = builder.directory / "image.tar"
    builder.context("FROM TINY\nLABEL a=b")
    done = builder.run(*flags, "--no-push", "--output", f"type=docker,dest={archive}")
    assert done.returncode == 0, done.stderr
    assert "does not serve what it should" in done.stderr
    inspect = ["skopeo", "inspect", f"docker-archive:{archive}"]
    found = subprocess.run(inspect, capture_output=True, text=True)
    assert json.loads(found.stdout)["Labels"] == {"a": "b"}, found.stderr
