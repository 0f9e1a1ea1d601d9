"""`strake build --sign-key URI` and `strake verify --key URI`; cosign verifies with the public key."""

from __future__ import annotations

import pytest

from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.clouds import running_cloud
from tests.fixtures.servers.kms import AWSKMS, VaultKMS, public_pem
from tests.fixtures.servers.signing import cosign_verify, cosign_verify_attestation

DOCKERFILE = "FROM TINY\nRUN echo signed > /signed\n"


def identity(host: str, service: str) -> dict[str, str]:
    if service == "hashivault":
        return {"VAULT_ADDR": f"http://{host}", "VAULT_TOKEN": "vault-token"}
    return {
        "AWS_ACCESS_KEY_ID": "AKIASIGNER",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_KMS": f"http://{host}",
    }


@pytest.mark.parametrize(
    ("service", "uri", "name"),
    [("awskms", "awskms:///alias/app", "app"), ("hashivault", "hashivault://rsa", "rsa")],
)
def test_what_a_kms_signed_cosign_verifies(builder, tmp_path, service, uri, name):
    builder.context(DOCKERFILE)
    public = tmp_path / "cosign.pub"
    public.write_bytes(public_pem(name))
    with running_cloud(AWSKMS if service == "awskms" else VaultKMS) as (host, _):
        variables = identity(host, service)
        done = builder.run("--sign-key", uri, "--provenance=min", timeout=240, **variables)
        assert done.returncode == 0, done.stderr
        image = done.stdout.strip()
        verify = [STRAKE, "verify", image, "--key", uri, "--insecure"]
        found = run_strake(verify, builder.environment() | variables, 180)
    assert found.returncode == 0, found.stderr
    assert found.stdout == f"{image}\nlegacy: signed with this key\nbundle: signed with this key\n"
    for bundle in (False, True):
        for check in (cosign_verify, cosign_verify_attestation):
            verified = check(image, public, bundle=bundle)
            assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize(
    ("uri", "status", "words"),
    [
        ("hashivault://locked", 14, "the key cannot sign: Vault, key transit/locked: signing at"),
        ("hashivault://p384", 14, "ECDSA on secp384r1"),
        ("hashivault://a/b", 2, "names no key"),
        ("azurekms://vault.example/app", 2, "azurekms://VAULT.vault.azure.net/KEY"),
    ],
)
def test_a_key_that_cannot_be_used_ends_the_build_before_it_begins(builder: Builder, uri, status, words):
    builder.context(DOCKERFILE)
    with running_cloud(VaultKMS) as (host, _):
        done = builder.run("--sign-key", uri, timeout=240, **identity(host, "hashivault"))
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "vault-token" not in done.stderr
    assert not builder.tags()


def test_the_public_key_of_a_kms_that_refuses(builder):
    with running_cloud(VaultKMS) as (host, _):
        variables = builder.environment() | identity(host, "hashivault")
        name = f"{builder.registry.host}/app:1"
        found = run_strake([STRAKE, "verify", name, "--key", "hashivault://hidden"], variables, 180)
    assert (found.returncode, found.stdout) == (14, "")
    assert "the public key cannot be had: Vault, key transit/hidden" in found.stderr
