"""The gateway signs with a key in a KMS, or as the pod: the executor has neither the identity nor the way to it."""

from __future__ import annotations

import os

import pytest

from strake_oci.attestations import PROVENANCE
from strake_oci.signatures import BOTH, SignatureForm
from strake_oci.signatures.keyless.certificate import CertificateIdentity
from strake_oci.signatures.keys import VerificationKey
from strake_oci.signatures.statements import verify_statements
from strake_oci.signatures.verification import verify_image
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository
from tests.fixtures.servers.clouds import running_cloud
from tests.fixtures.servers.gateway import running_gateway
from tests.fixtures.servers.kms import AWSKMS, VaultKMS, public_pem
from tests.fixtures.servers.sigstore import IDENTITY, ISSUER, running_sigstore
from tests.fixtures.servers.sigstore import token as pod_token
from tests.integration.gateway.conftest import ACCOUNT, Pod

STEPS = "FROM {base}\nRUN echo signed > /signed\n"


def output(pod: Pod, host: str, key: str = "app", token: str = "pod-token") -> dict:
    """Return what a pod is asked to push and to sign with the platform's Vault."""
    file = pod.directory / "token"
    file.write_text(token)
    login = {"address": f"http://{host}", "role": "strake", "token": str(file)}
    sign = {"kms": f"hashivault://{key}", "vault": login}
    return {"destinations": [f"{pod.repository}:1"], "sign": sign, "attestations": {"provenance": "min"}}


def test_the_image_and_its_provenance_are_signed_by_a_key_that_stays_in_vault(pod):
    with running_cloud(VaultKMS) as (host, asked):
        pod.write(STEPS, output=output(pod, host))
        with running_gateway(pod.path, pod.directory) as gateway:
            assert not asked, "the start of the gateway waits for the KMS"
            result = pod.execute()
    assert result["outcome"] == "Succeeded", result.get("message")
    public = VerificationKey.load(public_pem("app"))
    with pod.registry.client(credentials=ACCOUNT) as client:
        found = verify_image(client, Repository.parse(pod.repository), Digest.parse(result["digest"]), public)
    assert found.verified == BOTH
    assert len([each for each in asked if each.endswith("/login")]) == 1
    # The question before the build, two forms of the image's signature, and the one of the attestation.
    assert len([each for each in asked if "/sign/" in each]) == 4
    assert "vault-token" not in gateway.log.read_text()
    assert "pod-token" not in gateway.log.read_text()


@pytest.mark.parametrize(
    ("key", "token", "words"),
    [
        ("locked", "pod-token", "Vault, key transit/locked: signing at "),
        ("hidden", "pod-token", "asking for the public key at "),
        ("app", "another", "logging in for the role strake at "),
    ],
)
def test_a_key_that_the_pod_may_not_sign_with_ends_the_build_before_it_begins(pod, key, token, words):
    with running_cloud(VaultKMS) as (host, _):
        pod.write(STEPS, output=output(pod, host, key, token))
        before = len(pod.registry.requests())
        with running_gateway(pod.path, pod.directory):
            result = pod.execute()
    assert result["reason"] == "SigningFailed", result
    assert words in result["message"]
    assert "permission denied" in result["message"]
    assert len(pod.registry.requests()) == before


def test_an_identity_of_a_cloud_is_the_gateways_alone(pod):
    """As EKS has it: its webhook gives the role to the containers that are not left out."""
    with running_cloud(AWSKMS) as (host, _):
        role = {"AWS_ACCESS_KEY_ID": "AKIASIGNER", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
        sign = {"kms": "awskms:///alias/app", "form": "legacy"}
        pod.write(STEPS, output={"destinations": [f"{pod.repository}:1"], "sign": sign})
        environment = os.environ | role | {"AWS_ENDPOINT_URL_KMS": f"http://{host}"}
        with running_gateway(pod.path, pod.directory, environment=environment):
            result = pod.execute()
    assert result["outcome"] == "Succeeded", result.get("message")


def test_a_platform_without_a_vault_tells_what_names_one(pod):
    sign = {"kms": "hashivault://app"}
    pod.write(STEPS, output={"destinations": [f"{pod.repository}:1"], "sign": sign})
    with running_gateway(pod.path, pod.directory):
        result = pod.execute()
    assert result["reason"] == "SigningFailed", result
    assert "STRAKE_VAULT_ADDR" in result["message"]


def test_the_image_and_its_provenance_are_signed_as_the_pod(pod):
    token = pod.directory / "token"
    token.write_text(pod_token())
    with running_sigstore() as sigstore:
        keyless = {"config": sigstore.config, "token": str(token)}
        wanted = {"destinations": [f"{pod.repository}:1"], "attestations": {"provenance": "min"}}
        pod.write(STEPS, output={**wanted, "sign": {"keyless": keyless}})
        with running_gateway(pod.path, pod.directory) as gateway:
            assert not sigstore.asked, "the start of the gateway waits for Fulcio"
            result = pod.execute()
        assert result["outcome"] == "Succeeded", result.get("message")
        repository, digest = Repository.parse(pod.repository), Digest.parse(result["digest"])
        identity = CertificateIdentity(IDENTITY, ISSUER, sigstore.root)
        with pod.registry.client(credentials=ACCOUNT) as client:
            assert verify_image(client, repository, digest, identity).verified == (SignatureForm.BUNDLE,)
            (found,) = verify_statements(client, repository, digest, identity, {PROVENANCE})
    assert found.image == digest
    # The certificate is asked for once; the log has the image's signature and the attestation's, and no other.
    assert sigstore.asked.count("POST /api/v2/signingCert") == 1
    assert sigstore.asked.count("POST /api/v1/log/entries") == 2
    assert token.read_text() not in gateway.log.read_text()


@pytest.mark.parametrize(
    ("config", "words"),
    [("", "the operator's STRAKE_SIGSTORE_CONFIG has one"), (None, "there is no certificate of Fulcio")],
)
def test_a_pod_that_gets_no_certificate_fails_before_it_begins(pod, config, words):
    token = pod.directory / "token"
    token.write_text(pod_token(issuer="https://unknown.example"))
    with running_sigstore() as sigstore:
        keyless = {"config": sigstore.config if config is None else config, "token": str(token)}
        pod.write(STEPS, output={"destinations": [f"{pod.repository}:1"], "sign": {"keyless": keyless}})
        before = len(pod.registry.requests())
        with running_gateway(pod.path, pod.directory):
            result = pod.execute()
    assert result["reason"] == "SigningFailed", result
    assert words in result["message"]
    assert len(pod.registry.requests()) == before
