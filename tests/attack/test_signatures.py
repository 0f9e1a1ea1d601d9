"""What a step in a chroot may try at the gateway's socket: a signature for an image that the build did not push."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from strake_oci.errors import UnverifiedError
from strake_oci.registry.images import RegistryImages
from strake_oci.signatures.keys import VerificationKey
from strake_oci.signatures.verification import verify_image
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.reference import Repository
from tests.attack.test_secrets import TRUSTING
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.gateway import RunningGateway, running_gateway
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

IMAGES = {
    "an image of the build's own repository, by others": "team/app",
    "an image of another repository": "others/app",
    "an image of the cache": "team/app/cache",
}


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        yield running


@dataclass
class Victim:
    """An image that somebody else pushed, and the request of a build that signs."""

    registry: LocalRegistry
    repository: Repository
    image: Descriptor
    request: Path

    def sign(self, gateway: RunningGateway) -> int:
        """Ask for a signature as a step would; return the status."""
        target = f"/{self.registry.host}/v2/{self.repository.path}/_signatures/{self.image.digest}"
        return gateway.ask("POST", target, b"")[0]

    @property
    def is_signed(self) -> bool:
        with self.registry.client() as client:
            try:
                verify_image(client, self.repository, self.image.digest, VerificationKey.load(PUBLIC))
            except UnverifiedError:
                return False
        return True


@pytest.fixture(params=IMAGES)
def victim(request, registry, tmp_path) -> Victim:
    repository = registry.repository(IMAGES[request.param])
    image = make_image(request.node.name.encode())
    with registry.client() as client:
        image.write(RegistryImages(client, repository), "1")
    (tmp_path / "cosign.key").write_bytes(KEY)
    (tmp_path / "cosign.password").write_bytes(PASSWORD)
    sign = {"key": str(tmp_path / "cosign.key"), "password": str(tmp_path / "cosign.password")}
    document = {
        "source": {"inline": {"files": {"Dockerfile": "FROM scratch"}}},
        "output": {"destinations": [f"{registry.host}/team/app:1"], "sign": sign},
        "cache": {"repository": f"{registry.host}/team/app/cache"},
        "registries": {
            "gateway": str(tmp_path / "gateway.socket"),
            "hosts": {registry.host: {"insecure": True}},
        },
        "workDirectory": str(tmp_path / "work"),
    }
    (tmp_path / "request.json").write_text(json.dumps(document))
    return Victim(registry, repository, image.descriptor, tmp_path / "request.json")


def test_an_image_of_others_is_not_signed(victim, tmp_path):
    with running_gateway(victim.request, tmp_path, program=[STRAKE]) as gateway:
        assert victim.sign(gateway) in {403, 404}
    assert not victim.is_signed


def test_it_is_by_a_gateway_that_signs_what_it_is_asked_to(victim, tmp_path):
    program = [sys.executable, str(TRUSTING), "signed"]
    with running_gateway(victim.request, tmp_path, program=program) as gateway:
        assert victim.sign(gateway) == 204
    assert victim.is_signed
