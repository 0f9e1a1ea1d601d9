"""What a step in a chroot may write as its build's result: an image that the index must not take for its platform."""

from __future__ import annotations

import json
import uuid

import pytest

from strake_oci.attestations import AttestationForm, attestation_manifest, statement_layer
from strake_oci.errors import NotFoundError
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT
from strake_oci.spec.digest import Digest
from tests.attack.test_secrets import execute
from tests.fixtures.content.images import MadeImage, make_index
from tests.fixtures.servers.registry import running_registry

PLATFORMS = ("linux/amd64", "linux/arm64")


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        yield running


class Victim:
    """Images that builds pushed for two platforms, and a tag that is to name both."""

    def __init__(self, registry, directory) -> None:
        self.registry = registry
        self.directory = directory
        self.repository = registry.repository(f"team/{uuid.uuid4().hex[:8]}")
        index = make_index(*PLATFORMS)
        self.amd64, self.arm64 = index.children
        self.index = index
        with registry.client() as client:
            for each in (self.amd64, self.arm64):
                each.write(RegistryImages(client, self.repository), None)

    def attest(self, image: MadeImage) -> Digest:
        """Push an attestation of an image; return its digest."""
        statement = b'{"predicate": "forged"}'
        layer = statement_layer(statement, "https://slsa.dev/provenance/v1")
        manifest = attestation_manifest(image.descriptor, (layer,), AttestationForm.INDEX)
        with self.registry.client() as client:
            store = RegistryImages(client, self.repository)
            for descriptor, content in ((layer, statement), (EMPTY, EMPTY_CONTENT)):
                MadeImage(image.descriptor, image.data, ((descriptor, content),)).write(store, None)
            return store.push_manifest(manifest.serialize(), manifest.media_type).digest

    def make(self, second: object, *, attestation: object = None, without: str = "") -> dict:
        """Have the index made, with what is called the image for arm64; return the result."""
        named = {"platform": PLATFORMS[1], "digest": str(second)}
        request = {
            "kind": "IndexRequest",
            "images": [
                {"platform": PLATFORMS[0], "digest": str(self.amd64.descriptor.digest)},
                {**named, **({"attestation": str(attestation)} if attestation else {})},
            ],
            "output": {"destinations": [f"{self.repository}:1"]},
            "registries": {"hosts": {self.registry.host: {"insecure": True}}},
            "workDirectory": str(self.directory / "work"),
        }
        result = self.directory / "result.json"
        execute(self.directory, request, "--result", str(result), without=without)
        return json.loads(result.read_text())

    @property
    def is_tagged(self) -> bool:
        with self.registry.client() as client:
            try:
                return "1" in client.tags(self.repository)
            except NotFoundError:
                return False


@pytest.fixture
def victim(registry, tmp_path) -> Victim:
    return Victim(registry, tmp_path)


def test_an_image_of_another_platform_gets_no_tag(victim):
    result = victim.make(victim.amd64.descriptor.digest)
    assert result["reason"] == "InvalidRequest", result
    assert "is an image for linux/amd64, and the request has it for linux/arm64" in result["message"]
    assert not victim.is_tagged


def test_it_does_where_platforms_are_believed(victim):
    assert victim.make(victim.amd64.descriptor.digest, without="entries")["outcome"] == "Succeeded"
    assert victim.is_tagged


def test_an_attestation_of_another_image_gets_no_tag(victim):
    attestation = victim.attest(victim.amd64)
    result = victim.make(victim.arm64.descriptor.digest, attestation=attestation)
    assert result["reason"] == "InvalidRequest", result
    assert f"is no attestation of {victim.arm64.descriptor.digest}" in result["message"]
    assert not victim.is_tagged


def test_it_does_where_attestations_are_believed(victim):
    attestation = victim.attest(victim.amd64)
    result = victim.make(victim.arm64.descriptor.digest, attestation=attestation, without="entries")
    assert result["outcome"] == "Succeeded", result


@pytest.mark.parametrize("what", ["an index", "an image of another repository", "an attestation"])
def test_what_is_no_image_of_the_build_gets_no_tag(victim, what):
    with victim.registry.client() as client:
        if what == "an index":
            store = RegistryImages(client, victim.repository)
            digest = store.push_manifest(victim.index.data, victim.index.descriptor.media_type).digest
        elif what == "an attestation":
            digest = victim.attest(victim.arm64)
        else:
            other = make_index(PLATFORMS[1]).children[0]
            other.write(RegistryImages(client, victim.registry.repository("others/app")), None)
            digest = other.descriptor.digest
    result = victim.make(digest)
    assert result["outcome"] == "Failed", result
    assert not victim.is_tagged
