"""What a platform's policy demands of base images by identity: who signed them with a certificate, and who vouched."""

from __future__ import annotations

import json

import pytest

from strake_oci.signatures import bundle
from strake_oci.signatures.keyless.identity import KeylessIdentity
from strake_oci.signatures.writing import push_bundle
from strake_oci.spec.reference import Reference
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.sigstore import IDENTITY, ISSUER, running_sigstore, token
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

SOMEBODY = {"issuer": ISSUER, "subject": IDENTITY}


@pytest.fixture(scope="module")
def sigstore():
    with running_sigstore() as running:
        yield running


@pytest.fixture
def base(builder, tmp_path):
    """Build a base image, signed by an identity, with a key, or not at all; return its name."""

    def built(name: str, *flags: str, instance=None, platforms: str = "", subject: str = "") -> str:
        image = f"{builder.destination.rpartition(':')[0]}/{name}:1"
        context = builder.context("FROM scratch\nCOPY Dockerfile /base\n")
        words = [STRAKE, "build", "-c", context, "-d", image, "--work-dir", builder.work, *flags]
        words += ["--insecure-registry", builder.registry.host]
        words += ["--platform", platforms] if platforms else []
        if instance is not None:
            (tmp_path / "token").write_text(token(subject) if subject else token())
            (tmp_path / "config.json").write_text(instance.config)
            words += [f"--sign-identity-token={tmp_path / 'token'}"]
            words += [f"--sigstore-config={tmp_path / 'config.json'}"]
        done = run_strake(words, builder.environment() | {"COSIGN_PASSWORD": PASSWORD.decode()})
        assert done.returncode == 0, done.stderr
        return image

    return built


@pytest.fixture
def execute(builder, tmp_path, sigstore):
    """Build on an image under a rule with identities; return the result."""

    def executed(image: str, *identities: dict, **rule: object) -> dict:
        wanted = {"policy": "signed", "identities": identities, "trustedRoot": sigstore.root, **rule}
        request = {
            "source": {"directory": {"path": str(builder.context(f"FROM {image}\nCOPY Dockerfile /\n"))}},
            "output": {"destinations": [builder.destination]},
            "registries": {"hosts": {builder.registry.host: {"insecure": True}}},
            "workDirectory": str(builder.work),
            "imageRules": [{name: value for name, value in wanted.items() if value is not None}],
        }
        (tmp_path / "request.json").write_text(json.dumps(request))
        words = ["execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result.json"]
        done = run_strake([STRAKE, *words], builder.environment())
        assert "Traceback" not in done.stderr
        return json.loads((tmp_path / "result.json").read_text())

    return executed


ALLOWED = {
    "whole": SOMEBODY,
    "patterns": {
        "issuer": "https://*.local",
        "subject": "https://kubernetes.io/namespaces/*/serviceaccounts/*",
    },
}


@pytest.mark.parametrize("platforms", ["", "linux/amd64,linux/arm64"])
def test_a_base_that_an_identity_signed_is_built_on(execute, base, sigstore, platforms):
    name = base("signed", instance=sigstore, platforms=platforms)
    for identity in ALLOWED.values():
        result = execute(name, {"issuer": ISSUER, "subject": "nobody"}, identity)
        assert result["outcome"] == "Succeeded", result["message"]


REFUSED = {
    "another subject": {"issuer": ISSUER, "subject": f"{IDENTITY}2"},
    "another issuer": {"issuer": "https://other.example", "subject": IDENTITY},
    "the beginning of the subject": {"issuer": ISSUER, "subject": "https://kubernetes.io"},
    "a pattern of another issuer": {"issuer": "https://*.example", "subject": IDENTITY},
}


def test_one_that_somebody_else_signed_is_refused(execute, base, sigstore, builder):
    name = base("signed", instance=sigstore)
    for identity in REFUSED.values():
        result = execute(name, identity)
        assert result["reason"] == "PolicyDenied", identity
        assert f"BuildPolicy signed forbids the image {name}: nobody who is " in result["message"]
        assert "strake verify IMAGE --certificate-identity" in result["message"]
    assert builder.left_behind() == []
    assert builder.tags() == []


def test_and_so_is_one_that_nobody_signed_or_that_another_instance_vouches_for(execute, base, sigstore):
    assert execute(base("unsigned"), SOMEBODY)["reason"] == "PolicyDenied"
    with running_sigstore() as other:
        name = base("elsewhere", instance=other)
        assert execute(name, SOMEBODY)["reason"] == "PolicyDenied"
        assert execute(name, SOMEBODY, trustedRoot=other.root)["outcome"] == "Succeeded"


def test_a_certificate_that_had_expired_when_it_signed_is_refused(execute, base, sigstore):
    with running_sigstore(late=3600) as late:
        name = base("late", instance=late)
        result = execute(name, SOMEBODY, trustedRoot=late.root)
    assert result["reason"] == "PolicyDenied", result


def test_a_key_or_an_identity_is_enough(execute, base, sigstore, tmp_path):
    (tmp_path / "cosign.key").write_bytes(KEY)
    by_key = base("by-key", "--sign-key", str(tmp_path / "cosign.key"))
    by_identity = base("by-identity", instance=sigstore)
    for name in (by_key, by_identity):
        assert execute(name, SOMEBODY, signedBy=[PUBLIC.decode()])["outcome"] == "Succeeded"
    result = execute(base("neither"), SOMEBODY, signedBy=[PUBLIC.decode()])
    assert "none of its keys and nobody who is" in result["message"]


def test_what_others_put_beside_an_image_stops_nobody(execute, base, sigstore, builder):
    name = Reference.parse(base("crowded", instance=sigstore))
    with builder.registry.client() as client:
        image = client.resolve(name)
        statement = bundle.image_statement(image.digest, "a")
        for content in (b"", b"[" * 100_000, b'{"mediaType": 1}', _other_payload(sigstore, statement)):
            push_bundle(client, name.repository, image, content, bundle.PREDICATE_TYPE)
    assert execute(str(name), SOMEBODY)["outcome"] == "Succeeded"


def _other_payload(sigstore, statement: bytes) -> bytes:
    """Return a bundle whose certificate and log entry are of another statement."""
    document = json.loads(KeylessIdentity(sigstore.config, token).bundle(statement))
    document["dsseEnvelope"]["payload"] = "e30="
    return json.dumps(document).encode()


def test_without_a_root_nobody_counts(execute, base, sigstore):
    name = base("signed", instance=sigstore)
    result = execute(name, SOMEBODY, trustedRoot=None)
    assert result["reason"] == "PolicyDenied"
    assert "nothing tells which Sigstore vouches for them" in result["message"]
    result = execute(name, SOMEBODY, trustedRoot="{}")
    assert result["reason"] == "PolicyDenied"
    assert "baseImages.trustedRoot that cannot be used" in result["message"]
