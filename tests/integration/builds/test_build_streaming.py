"""A large layer goes to the registries while it is compressed; whatever breaks, the image is whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile

import pytest

from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.narrow import instance, present
from tests.fixtures.servers.registry import running_registry

CONTENT = os.urandom(9 << 20)


@pytest.fixture
def context(builder):
    directory = builder.context("FROM scratch\nCOPY data /")
    (directory / "data").write_bytes(CONTENT)
    return directory


def layer_of(client, destination: str) -> bytes:
    reference = Reference.parse(destination)
    (layer,) = instance(parse(client.manifest(reference.repository, reference.tag)[1]), Manifest).layers
    with client.open_blob(reference.repository, layer) as blob:
        packed = b"".join(iter(lambda: blob.read(1 << 20), b""))
    assert hashlib.sha256(packed).hexdigest() == layer.digest.encoded
    return packed


def content_of(packed: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as tar:
        return present(tar.extractfile("data")).read()


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    "epoch", [(), ("--build-arg", "SOURCE_DATE_EPOCH=0")], ids=["streamed", "from a file"]
)
def test_its_way_to_the_registry_can_be_followed(builder, epoch):
    done = builder.run("--log-format", "json", *epoch)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    shown = [event for event in events if event["type"] == "PushProgress"]
    (pushed,) = [e for e in events if e["type"] == "LayerPushed" and e["bytes"] > len(CONTENT)]
    assert {event["repository"] for event in shown} == {pushed["repository"]}
    assert [event["done"] for event in shown] == sorted({event["done"] for event in shown})
    assert 4 << 20 <= shown[-1]["done"] <= pushed["bytes"]
    if epoch:  # its digest is known before the first byte goes
        assert {(event["digest"], event["total"]) for event in shown} == {(pushed["digest"], pushed["bytes"])}


@pytest.mark.usefixtures("context")
def test_it_is_uploaded_once_a_registry_and_mounted_for_the_rest(builder):
    with running_registry() as other:
        destinations = [
            builder.destination,
            f"{builder.registry.host}/{builder.name}-second:1",
            f"{other.host}/a:1",
        ]
        flags = [word for destination in destinations[1:] for word in ("--destination", destination)]
        done = builder.run("--insecure-registry", other.host, *flags)
        assert done.returncode == 0, done.stderr
        for registry, destination in zip(
            [builder.registry, builder.registry, other], destinations, strict=True
        ):
            with registry.client() as client:
                assert content_of(layer_of(client, destination)) == CONTENT
        ours = [line for line in builder.registry.requests() if f"/v2/{builder.name}" in line]
        assert sum(line.startswith("PATCH") for line in ours) == 1
        assert sum("mount=" in line for line in ours) >= 1
        assert sum(line.startswith("PATCH") for line in other.requests()) == 1


@pytest.mark.usefixtures("context")
def test_with_fixed_times_it_is_asked_for_first(builder):
    for _ in range(2):
        assert builder.run("--reproducible").returncode == 0
    ours = [line for line in builder.registry.requests() if f"/v2/{builder.name}" in line]
    assert not [line for line in ours if line.startswith("PATCH")]
    assert sum(line.startswith("PUT") and "digest=" in line for line in ours) == 2  # the layer, the config


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(
    "fault",
    [
        faults.drop_upload(after=3_000_000, times=1, method="PATCH"),
        faults.status(405, method="PATCH", times=1000),
        faults.status(413, method="PATCH", times=1000),
        faults.status(500, method="PATCH", times=1000),
        faults.status(404, "BLOB_UPLOAD_UNKNOWN", method="PATCH", times=1000),
        faults.fail_after_doing(500, method="PUT", path="/uploads/"),
        faults.forget_uploads(),
    ],
    ids=["broken off", "not allowed", "too large", "failing", "forgotten", "answer lost", "lost at the end"],
)
def test_what_breaks_is_pushed_from_the_file(builder, fault):
    with FaultyRegistry() as registry:
        registry.add(fault)
        destination = f"{registry.host}/app:1"
        done = builder.run("--insecure-registry", registry.host, "--destination", destination)
        assert done.returncode == 0, done.stderr
        with registry.client() as client:
            assert content_of(layer_of(client, destination)) == CONTENT
