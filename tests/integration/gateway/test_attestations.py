"""Provenance of what an executor builds goes through the gateway, and nothing else that refers to an image."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from strake_oci.attestations import (
    MEDIA_TYPE,
    PROVENANCE,
    STATEMENT_TYPE,
    AttestationForm,
    attestation_manifest,
    find_attestations,
    read_statement,
    statement_layer,
)
from strake_oci.signatures.attesting import MAX_SIGNED
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.reference import Repository
from tests.faults.registry import Exchange, FaultyRegistry
from tests.fixtures.servers.gateway import RunningGateway, running_gateway
from tests.integration.gateway.conftest import ACCOUNT, Pod
from tests.integration.gateway.test_killed_gateway import Supervised
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
STEPS = "FROM {base}\nARG token\nRUN echo built > /built\n"


def output(pod: Pod, *repositories: str, **attestations: Any) -> dict:
    destinations = [f"{each}:1" for each in repositories or [pod.repository]]
    return {"destinations": destinations, "attestations": attestations}


def statements(pod: Pod, repository: str, digest: str) -> list[dict]:
    with pod.registry.client(credentials=ACCOUNT) as client:
        place = Repository.parse(repository)
        found = find_attestations(client, place, Digest.parse(digest))
        return [json.loads(read_statement(client, place, each.statement)) for each in found]


@pytest.mark.parametrize("form", ["referrers", "index"])
def test_provenance_is_in_every_repository_before_a_tag_is(pod, form):
    (pod.directory / "token").write_text("s3cret-token")
    repositories = [pod.repository, f"{pod.repository}/copy"]
    pod.write(
        STEPS,
        output=output(pod, *repositories, form=form, provenance="max"),
        args=[{"name": "token", "file": str(pod.directory / "token")}],
    )
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["outcome"] == "Succeeded", result
    assert pod.digest() == result["digest"]
    for repository in repositories:
        [found] = statements(pod, repository, result["digest"])
        assert found["predicateType"] == PROVENANCE
        assert "s3cret-token" not in json.dumps(found)
        request = found["predicate"]["buildDefinition"]["externalParameters"]["request"]
        assert request["args"] == {"build-arg:token": "xxxxx"}
        [base] = found["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert base["uri"].startswith(f"pkg:docker/{pod.registry.host}/team/base@1")
    writes = [line for line in pod.registry.requests() if line.startswith("PUT") and "/manifests/" in line]
    named = [
        line.split("/manifests/")[1].split()[0] for line in writes if pod.repository.split("/")[-1] in line
    ]
    assert named[-2:] == ["1", "1"]
    assert "1" not in named[:-2]
    assert any(result["attestation"] in each for each in named[:-2])


def test_the_image_is_the_same_with_provenance_and_without(pod):
    digests = set()
    asked: tuple[dict[str, str] | None, ...] = ({}, None)
    for attestations in asked:
        wanted = output(pod) | {"attestations": attestations, "reproducible": True}
        pod.write(STEPS, output=wanted)
        with running_gateway(pod.path, pod.directory):
            digests.add(pod.execute()["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize("path", ["/manifests/sha256:", "/manifests/sha256-"], ids=["manifest", "list"])
def test_a_gateway_that_is_started_again_meanwhile_learns_of_the_image(pod, path):
    """Killed after the image is there: it does not know any more that the build pushed it."""
    killed: list[str] = []

    def kill(exchange: Exchange) -> bool:
        if exchange.command == "PUT" and path in exchange.route and (seen := len(puts)) < 2:
            puts.append(exchange.route)
            if seen == (path.endswith(":")):
                killed.append(exchange.route)
                os.kill(supervised.pid, signal.SIGKILL)
                return True  # what came of the body is not stored
        return False

    puts: list[str] = []
    with FaultyRegistry() as registry:
        repository = f"{registry.host}/team/app"
        pod.write(
            "FROM scratch\nCOPY Dockerfile /\n",
            output=output(pod, repository),
            registries={
                "gateway": str(pod.directory / "gateway.socket"),
                "hosts": {registry.host: {"insecure": True}},
            },
        )
        registry.add(kill)
        with Supervised(pod.path, pod.directory) as supervised:
            result = pod.execute()
        assert killed
        assert result["outcome"] == "Succeeded", result["message"]
        with registry.client() as client:
            [found] = find_attestations(client, Repository.parse(repository), Digest.parse(result["digest"]))
    assert str(found.manifest.digest) == result["attestation"]


class Victim:
    """A repository with an image of others, and a build of a step in a chroot that pushes to it."""

    def __init__(self, pod: Pod, gateway: RunningGateway) -> None:
        self.gateway = gateway
        self.path = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
        self.others = Descriptor.of(MANIFEST, b"an image of others")
        self.own = Descriptor.of(INDEX, Index(()).serialize())
        assert self.put(self.own.digest, Index(()).serialize(), INDEX)[0] == 201

    def put(self, name: object, content: bytes, kind: str = MANIFEST) -> tuple[int, bytes, Any]:
        return self.gateway.ask("PUT", f"{self.path}/manifests/{name}", content, Content_Type=kind)

    def blob(self, content: bytes) -> None:
        """Push a blob as a step would."""
        _, _, headers = self.gateway.ask("POST", f"{self.path}/blobs/uploads/", b"")
        place, digest = headers["Location"], Digest.sha256(content)
        glue = "&" if "?" in place else "?"
        assert self.gateway.ask("PUT", f"{place}{glue}digest={digest}", content)[0] == 201

    def manifest(self, subject: Descriptor, kind: str = MEDIA_TYPE, layer: str = MEDIA_TYPE) -> bytes:
        """Return a referrer whose blobs are in the registry."""
        content = b'{"forged":true}'
        self.blob(content)
        self.blob(b"{}")
        made = attestation_manifest(
            subject, (statement_layer(content, PROVENANCE),), AttestationForm.REFERRERS
        )
        found = Manifest(
            made.config,
            (Descriptor(layer, made.layers[0].digest, made.layers[0].size),),
            artifact_type=kind,
            subject=made.subject,
        )
        return found.serialize()


@pytest.fixture
def victim(pod):
    pod.write(STEPS, output=output(pod))
    with running_gateway(pod.path, pod.directory) as gateway:
        yield Victim(pod, gateway)


def test_an_attestation_of_an_image_of_its_own_is_pushed(victim):
    """No more than what the build attests itself: what shows the refusals to be real."""
    content = victim.manifest(victim.own)
    assert victim.put(Digest.sha256(content), content)[0] == 201


BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "of an image that others pushed": ({"subject": "others"}, 404),
    "a signature": ({"kind": BUNDLE}, 403),
    "a signature called an attestation": ({"layer": BUNDLE}, 403),
}


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_else_refers_to_an_image(victim, name):
    changes, status = REFUSED[name]
    subject = getattr(victim, changes.get("subject", "own"))
    content = victim.manifest(subject, changes.get("kind", MEDIA_TYPE), changes.get("layer", MEDIA_TYPE))
    assert victim.put(Digest.sha256(content), content)[0] == status


@pytest.mark.parametrize("spelling", ["Subject", "SUBJECT", "\u017fubject"])
def test_a_subject_in_another_spelling_is_refused(victim, spelling):
    content = victim.manifest(victim.others).replace(b'"subject"', json.dumps(spelling).encode())
    assert victim.put(Digest.sha256(content), content)[0] == 400
    doubled = victim.manifest(victim.own)[:-1] + b',"' + spelling.encode() + b'":null}'
    assert victim.put(Digest.sha256(doubled), doubled)[0] == 400


def test_an_index_refers_to_nothing(victim):
    content = Index((), subject=victim.own).serialize()
    assert victim.put(Digest.sha256(content), content, INDEX)[0] == 403


def test_the_list_of_referrers_grows_by_what_the_build_pushed(victim):
    own = f"sha256-{victim.own.digest.encoded}"
    content = victim.manifest(victim.own)
    first = Descriptor.of(MANIFEST, content)
    assert victim.put(own, Index((first,)).serialize(), INDEX)[0] == 404  # not pushed yet
    assert victim.put(first.digest, content)[0] == 201
    assert victim.put(own, Index((first,)).serialize(), INDEX)[0] == 201
    assert victim.put(own, Index(()).serialize(), INDEX)[0] == 403  # what is there stays
    assert victim.put(own, Index((first, victim.others)).serialize(), INDEX)[0] == 404
    assert victim.put(own, content)[0] == 403
    assert victim.put(f"sha256-{victim.others.digest.encoded}", Index(()).serialize(), INDEX)[0] == 404


def signed_output(pod: Pod) -> dict:
    folder = pod.directory / "signing"
    folder.mkdir()
    (folder / "cosign.key").write_bytes(KEY)
    (folder / "cosign.password").write_bytes(PASSWORD)
    sign = {"key": str(folder / "cosign.key"), "password": str(folder / "cosign.password"), "form": "both"}
    return output(pod) | {"sign": sign}


@pytest.mark.parametrize("form", ["referrers", "index"])
def test_provenance_is_signed_before_a_tag_is(pod, form):
    pod.write(STEPS, output=signed_output(pod) | {"attestations": {"form": form}})
    with running_gateway(pod.path, pod.directory) as gateway:
        result = pod.execute()
    assert result["outcome"] == "Succeeded", result
    assert f"_attestations/{result['attestation']} 204" in gateway.log.read_text()
    with pod.registry.client(credentials=ACCOUNT) as client:
        repository = Repository.parse(pod.repository)
        [image] = {
            each.image for each in find_attestations(client, repository, Digest.parse(result["digest"]))
        }
        bundles = [
            each.annotations["dev.sigstore.bundle.predicateType"]
            for each in client.referrers(repository, image)
            if each.artifact_type == BUNDLE
        ]
        _, data = client.manifest(repository, f"sha256-{image.encoded}.att")
    assert sorted(bundles) == ["https://sigstore.dev/cosign/sign/v1", PROVENANCE]
    document = parse(data)
    assert isinstance(document, Manifest)
    assert [each.annotations["predicateType"] for each in document.layers] == [PROVENANCE]
    writes = [line for line in pod.registry.requests() if line.startswith("PUT") and "/manifests/" in line]
    assert writes[-1].split("/manifests/")[1].split()[0] == "1"


@pytest.fixture
def signing_victim(pod):
    pod.write(STEPS, output=signed_output(pod))
    with running_gateway(pod.path, pod.directory) as gateway:
        yield Victim(pod, gateway)


def about(*images: Descriptor, **changes: object) -> bytes:
    """Return provenance of some images, as a hostile step writes it."""
    subjects = [{"name": "_", "digest": {"sha256": each.digest.encoded}} for each in images]
    fields = {"_type": STATEMENT_TYPE, "predicateType": PROVENANCE, "subject": subjects, "predicate": {}}
    return json.dumps(fields | changes).encode()


def asked_to_sign(victim: Victim, content: bytes) -> tuple[int, bytes]:
    """Push a statement as an attestation of the build's own image, and ask for a signature."""
    victim.blob(content)
    victim.blob(b"{}")
    layer = statement_layer(content, PROVENANCE)
    manifest = attestation_manifest(victim.own, (layer,), AttestationForm.REFERRERS).serialize()
    digest = Digest.sha256(manifest)
    assert victim.put(digest, manifest)[0] == 201
    status, body, _ = victim.gateway.ask("POST", f"{victim.path}/_attestations/{digest}", b"")
    return status, body


def test_a_statement_about_the_builds_own_image_is_signed(signing_victim):
    """What shows the refusals to be real."""
    assert asked_to_sign(signing_victim, about(signing_victim.own))[0] == 204


FORGED: dict[str, Callable[[Victim], bytes]] = {
    "another image": lambda victim: about(victim.others),
    "two images": lambda victim: about(victim.own, victim.others),
    "no statement": lambda _: b"not in-toto",
    "a signature": lambda victim: about(victim.own, predicateType="https://sigstore.dev/cosign/sign/v1"),
    "oversized": lambda victim: about(victim.own, predicate={"long": "x" * MAX_SIGNED}),
}


@pytest.mark.parametrize("name", FORGED)
def test_no_other_statement_is_signed(signing_victim, name):
    status, body = asked_to_sign(signing_victim, FORGED[name](signing_victim))
    assert 400 <= status < 500, body
    tag = f"sha256-{signing_victim.own.digest.encoded}.att"
    assert signing_victim.gateway.ask("GET", f"{signing_victim.path}/manifests/{tag}")[0] == 404


def test_what_is_no_attestation_of_the_build_is_not_signed_as_one(signing_victim):
    for digest, status in ((signing_victim.others.digest, 404), (signing_victim.own.digest, 424)):
        path = f"{signing_victim.path}/_attestations/{digest}"
        assert signing_victim.gateway.ask("POST", path, b"")[0] == status


def test_a_build_that_attests_nothing_lets_nothing_refer_to_its_image(pod):
    pod.write(STEPS)
    with running_gateway(pod.path, pod.directory) as gateway:
        victim = Victim(pod, gateway)
        content = victim.manifest(victim.own)
        assert victim.put(Digest.sha256(content), content)[0] == 403
        assert victim.put(f"sha256-{victim.own.digest.encoded}", Index(()).serialize(), INDEX)[0] == 403
