"""The gateway signs what the build pushed, before a tag moves; the key is nowhere else."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from strake_oci.signatures import BOTH, SignatureForm
from strake_oci.signatures.keys import VerificationKey
from strake_oci.signatures.verification import verify_image
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.gateway import running_gateway
from tests.integration.gateway.conftest import ACCOUNT, Pod
from tests.integration.gateway.test_killed_gateway import Supervised
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
STEPS = "FROM {base}\nRUN echo signed > /signed\n"
PUBLIC_KEY = VerificationKey.load(PUBLIC)


def signature(
    pod: Pod, form: str = "both", key: bytes = KEY, password: bytes | None = PASSWORD
) -> dict[str, str]:
    """Write the Secret's files; return what the request says of them."""
    folder = pod.directory / "signing"
    folder.mkdir(exist_ok=True)
    (folder / "cosign.key").write_bytes(key)
    if password is not None:
        (folder / "cosign.password").write_bytes(password)
    return {"key": str(folder / "cosign.key"), "password": str(folder / "cosign.password"), "form": form}


def output(pod: Pod, *repositories: str, **sign: str) -> dict:
    return {"destinations": [f"{each}:1" for each in repositories or [pod.repository]], "sign": sign}


@pytest.mark.parametrize(
    ("form", "forms"),
    [("both", BOTH), ("legacy", (SignatureForm.LEGACY,)), ("bundle", (SignatureForm.BUNDLE,))],
)
def test_the_image_is_signed_in_every_repository_before_it_has_a_tag(pod, form, forms):
    repositories = [pod.repository, f"{pod.repository}/copy"]
    pod.write(STEPS, output=output(pod, *repositories, **signature(pod, form)))
    with running_gateway(pod.path, pod.directory) as gateway:
        result = pod.execute()
    assert result["outcome"] == "Succeeded", result
    digest = Digest.parse(result["digest"])
    with pod.registry.client(credentials=ACCOUNT) as client:
        for each in repositories:
            assert verify_image(client, Repository.parse(each), digest, PUBLIC_KEY).verified == forms
    writes = [line for line in pod.registry.requests() if line.startswith("PUT") and "/manifests/" in line]
    of_this_build = [
        line.split("/manifests/")[1].split()[0] for line in writes if pod.repository.split("/")[-1] in line
    ]
    assert of_this_build[-2:] == ["1", "1"]
    assert "1" not in of_this_build[:-2]
    log = gateway.log.read_text()
    assert f"POST {pod.repository} _signatures/{digest} 204" in log
    assert PASSWORD.decode() not in log.split()


def test_a_build_that_runs_twice_is_signed_once(pod):
    pod.write(STEPS, output=output(pod, **signature(pod)) | {"reproducible": True})
    with running_gateway(pod.path, pod.directory):
        digests = {pod.execute()["digest"] for _ in range(2)}
    [digest] = digests
    with pod.registry.client(credentials=ACCOUNT) as client:
        found = verify_image(client, Repository.parse(pod.repository), Digest.parse(digest), PUBLIC_KEY)
    assert dict(found.seen) == {SignatureForm.LEGACY: 1, SignatureForm.BUNDLE: 1}


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "another password": ({"password": b"wrong-one"}, "the password is another one"),
    "no password": ({"password": None}, "it is encrypted, and there is no password"),
    "no key": ({"key": b"-----BEGIN CERTIFICATE-----\n"}, "holds a 'CERTIFICATE' block"),
    "a public key": ({"key": PUBLIC}, "holds a 'PUBLIC KEY' block"),
    "nothing": ({"key": b""}, "is no PEM file"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_cannot_be_used_ends_the_build_before_it_begins(pod, name):
    changes, words = UNUSABLE[name]
    pod.write(STEPS, output=output(pod, **signature(pod, **changes)))
    before = len(pod.registry.requests())
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["reason"] == "SigningFailed", result
    assert words in result["message"]
    assert len(pod.registry.requests()) == before


def test_a_password_with_an_end_of_line_is_the_password(pod):
    pod.write(STEPS, output=output(pod, **signature(pod, password=PASSWORD + b"\n")))
    with running_gateway(pod.path, pod.directory):
        assert pod.execute()["outcome"] == "Succeeded"


REQUESTS = {
    "what was there before": ("POST", "{own}/_signatures/{base}", 404, "did not push"),
    "an image that nobody pushed": ("POST", f"{{own}}/_signatures/sha256:{'0' * 64}", 404, "did not push"),
    "an image of another repository": ("POST", "{team}/base/_signatures/{base}", 403, "does not push to"),
    "an image of another registry": (
        "POST",
        "/other.example/v2/app/_signatures/{base}",
        403,
        "does not push",
    ),
    "an image of the cache": ("POST", "{own}/cache/_signatures/{base}", 403, "does not sign images of"),
    "a tag": ("POST", "{own}/_signatures/1", 403, "has no use for"),
    "nothing": ("POST", "{own}/_signatures/", 403, "has no use for"),
    "the key": ("GET", "{own}/_signatures/{base}", 403, "has no use for"),
    "a path that climbs": ("POST", "{own}/_signatures/../../base/_signatures/{base}", 400, "no registry has"),
    "a tag of signatures": ("PUT", "{own}/manifests/{legacy}", 403, "does not push"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_step_gets_nothing_signed_that_the_build_did_not_push(pod, name):
    """By the socket, as a step in a chroot can. The base image is in the build's repository, from an earlier build."""
    method, path, wanted, words = REQUESTS[name]
    with pod.registry.client(credentials=ACCOUNT) as client:
        base = client.manifest(pod.registry.repository("team/base"), "1")[0].digest
    pod.write(STEPS, output=output(pod, **signature(pod)), cache={"repository": f"{pod.repository}/cache"})
    host = f"/{pod.registry.host}/v2"
    target = path.format(
        own=f"{host}/{pod.repository.partition('/')[2]}",
        team=f"{host}/team",
        base=base,
        legacy=f"sha256-{base.encoded}.sig",
    )
    with running_gateway(pod.path, pod.directory) as gateway:
        before = len(pod.registry.requests())
        status, body, _ = gateway.ask(
            method, target, b"{}" if method == "PUT" else b"", Content_Type=MANIFEST
        )
        assert (status, words in body.decode()) == (wanted, True), body
        assert len(pod.registry.requests()) == before, "it reached the registry"


def test_a_step_gets_signed_what_it_can_push(pod):
    """No more than what the build's image could be: the attack that is left, and that shows the others to be real."""
    pod.write(STEPS, output=output(pod, **signature(pod)))
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    digest = Digest.sha256(index)
    with running_gateway(pod.path, pod.directory) as gateway:
        assert gateway.ask("PUT", f"{own}/manifests/{digest}", index, Content_Type=INDEX)[0] == 201
        assert gateway.ask("POST", f"{own}/_signatures/{digest}", b"")[0] == 204
        # Not by the name of what another repository has.
        assert gateway.ask("POST", f"{own}/copy/_signatures/{digest}", b"")[0] == 403


def test_what_a_registry_refused_is_not_signed(pod):
    pod.write(STEPS, output=output(pod, **signature(pod)))
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    broken = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
    digest = Digest.sha256(broken)
    with running_gateway(pod.path, pod.directory) as gateway:
        assert gateway.ask("PUT", f"{own}/manifests/{digest}", broken, Content_Type=MANIFEST)[0] >= 400
        assert gateway.ask("POST", f"{own}/_signatures/{digest}", b"")[0] == 404


def test_without_a_key_nothing_is_signed(pod):
    pod.write(STEPS)
    own = f"/{pod.registry.host}/v2/{pod.repository.partition('/')[2]}"
    with running_gateway(pod.path, pod.directory) as gateway:
        status, body, _ = gateway.ask("GET", f"{own}/_signatures/")
    assert status == 403
    assert b"signs nothing" in body


@pytest.fixture
def faulty():
    with FaultyRegistry() as running:
        yield running


def write_for(pod: Pod, registry: FaultyRegistry) -> str:
    """Write a request for a registry without authentication; return the repository."""
    repository = f"{registry.host}/team/app"
    pod.write(
        "FROM scratch\nCOPY Dockerfile /\n",
        output=output(pod, repository, **signature(pod)),
        registries={
            "gateway": str(pod.directory / "gateway.socket"),
            "hosts": {registry.host: {"insecure": True}},
        },
    )
    return repository


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            faults.status(400, "TAG_INVALID", method="PUT", path=r"/manifests/sha256-.*\.sig", times=99),
            "SigningFailed",
        ),
        (
            faults.status(403, "DENIED", method="PUT", path=r"/manifests/sha256-.*\.sig", times=99),
            "PushUnauthorized",
        ),
        (
            faults.status(405, "UNSUPPORTED", method="GET", path=r"/manifests/sha256-.*\.sig", times=99),
            "SigningFailed",
        ),
    ],
    ids=["no such tag", "no right", "no reading"],
)
def test_an_image_whose_signature_is_refused_gets_no_tag(pod, faulty, fault, reason):
    write_for(pod, faulty)
    faulty.add(fault)
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert (result["outcome"], result["reason"]) == ("Failed", reason), result
    assert f"cannot sign in {faulty.host}/team/app" in result["message"]
    assert not any(each.command == "PUT" and each.path.endswith("/manifests/1") for each in faulty.seen)


def test_a_tag_that_holds_something_else_is_told_of_at_once(pod, faulty):
    """However often it is tried, it stays there."""
    repository = write_for(pod, faulty)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()

    def answer(exchange) -> bool:
        if exchange.command == "GET" and exchange.route.endswith(".sig"):
            asked.append(exchange.route)
            exchange.reply(200, index, Content_Type=INDEX)
            return True
        return False

    asked: list[str] = []
    faulty.add(answer)
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["reason"] == "SigningFailed", result
    assert f"{repository}:" in result["message"]
    assert "is an index, and no signatures" in result["message"]
    assert len(asked) == 1


def test_a_registry_that_is_overloaded_meanwhile_is_asked_again(pod, faulty):
    write_for(pod, faulty)
    faulty.add(faults.status(503, method="PUT", path=r"/manifests/sha256-.*\.sig", times=2))
    with running_gateway(pod.path, pod.directory):
        assert pod.execute()["outcome"] == "Succeeded"


def test_a_gateway_that_is_killed_while_it_signs_is_told_of_the_image_again(pod, faulty):
    write_for(pod, faulty)
    killed: list[int] = []

    def kill(exchange) -> bool:
        if not killed and exchange.command == "GET" and exchange.route.endswith(".sig"):
            killed.append(supervised.pid)
            os.kill(supervised.pid, signal.SIGKILL)
        return False

    faulty.add(kill)
    with Supervised(pod.path, pod.directory) as supervised:
        result = pod.execute()
    assert killed
    assert result["outcome"] == "Succeeded", result
    with faulty.client() as client:
        digest = Digest.parse(result["digest"])
        assert (
            verify_image(client, Repository.parse(f"{faulty.host}/team/app"), digest, PUBLIC_KEY).verified
            == BOTH
        )


def test_without_a_gateway_the_executor_reads_the_key(pod, faulty):
    """As `strake execute` does outside of the operator's pods."""
    repository = write_for(pod, faulty)
    request = json.loads(pod.path.read_text())
    del request["registries"]["gateway"]
    pod.path.write_text(json.dumps(request))
    result = pod.execute()
    assert result["outcome"] == "Succeeded", result
    with faulty.client() as client:
        digest = Digest.parse(result["digest"])
        assert verify_image(client, Repository.parse(repository), digest, PUBLIC_KEY).verified == BOTH
    request["output"]["sign"]["key"] = str(pod.directory / "missing")
    pod.path.write_text(json.dumps(request))
    done = run_strake([STRAKE, "execute", "--request", pod.path])
    assert done.returncode == 2
    assert "cannot read" in done.stderr
