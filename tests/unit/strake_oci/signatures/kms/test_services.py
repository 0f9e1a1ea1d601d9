"""Keys in four KMS: what they sign is verified by the public key, and what goes wrong is told before it matters."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.errors import SigningKeyError
from strake_oci.signatures.keys import VerificationKey
from strake_oci.signatures.kms import azure, google
from strake_oci.signatures.kms.aws import AWSService
from strake_oci.signatures.kms.key import KMSKey
from strake_oci.signatures.kms.opening import open_kms_key
from strake_oci.signatures.kms.uri import AWSKey, AzureKey, GoogleKey, VaultKey
from strake_oci.signatures.kms.vault import KubernetesLogin, VaultAccess, VaultService
from tests.fixtures.servers.clouds import running_cloud
from tests.fixtures.servers.kms import AWSKMS, KINDS, AzureKMS, GoogleKMS, VaultKMS, public_pem
from tests.fixtures.servers.registry import free_port

DATA = b"what is signed"
RING = "projects/p/locations/global/keyRings/r/cryptoKeys"
Opened = Callable[[str], KMSKey]


@contextlib.contextmanager
def of_aws(monkeypatch) -> Iterator[Opened]:
    with running_cloud(AWSKMS) as (host, _):
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIASIGNER",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL_KMS": f"http://{host}",
            "AWS_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield lambda name: KMSKey(AWSService(AWSKey(f"alias/{name}", region="eu-west-1")))


@contextlib.contextmanager
def of_google(monkeypatch) -> Iterator[Opened]:
    monkeypatch.setattr(google, "google_token", lambda _: ("google", None))
    with running_cloud(GoogleKMS) as (host, _):
        yield lambda name: KMSKey(
            google.GoogleService(GoogleKey(f"{RING}/{name}"), endpoint=f"http://{host}")
        )


@contextlib.contextmanager
def of_azure(monkeypatch) -> Iterator[Opened]:
    def token(scope: str) -> str:
        assert scope == "https://vault.azure.net/.default"
        return "entra"

    monkeypatch.setattr(azure, "entra_token", token)
    with running_cloud(AzureKMS) as (host, _):
        yield lambda name: KMSKey(
            azure.AzureService(AzureKey("team.vault.azure.net", name), endpoint=f"http://{host}")
        )


@contextlib.contextmanager
def of_vault(monkeypatch) -> Iterator[Opened]:
    monkeypatch.setenv("VAULT_TOKEN", "vault-token")
    with running_cloud(VaultKMS) as (host, _):
        yield lambda name: KMSKey(VaultService(VaultKey(name), VaultAccess(f"http://{host}")))


SERVICES: dict[str, Any] = {
    "AWS KMS": of_aws,
    "Google Cloud KMS": of_google,
    "Azure Key Vault": of_azure,
    "Vault": of_vault,
}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_kms_signs_is_verified_with_the_public_key(service, monkeypatch):
    with SERVICES[service](monkeypatch) as opened:
        for name in [kind for kind in KINDS if (service, kind) != ("Azure Key Vault", "ed25519")]:
            key = opened(name)
            key.check()
            assert key.public.pem() == public_pem(name)
            public = VerificationKey.load(public_pem(name))
            assert public.verifies(key.sign(DATA), DATA), name


FAILURES = {
    "hidden": ("denied|allows it|not authorized|denied on resource", "kms:GetPublicKey|needs"),
    "locked": ("denied|allows it|may not sign", "kms:Sign|needs"),
    "other": ("not by the key that the service gave", "build again"),
    "p384": ("not supported", "use "),
}


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("service", SERVICES)
def test_a_key_that_cannot_be_used_is_told_with_its_service_and_what_to_do(service, name, monkeypatch):
    words, hint = FAILURES[name]
    with SERVICES[service](monkeypatch) as opened, pytest.raises(SigningKeyError, match=words) as caught:
        opened(name).check()
    assert caught.value.message.startswith(service)
    assert name in caught.value.message
    assert any(each in caught.value.hint for each in hint.split("|"))
    assert "secret" not in str(caught.value)
    assert "vault-token" not in str(caught.value)


def test_a_pod_logs_in_at_vault_with_its_own_token_and_once(tmp_path):
    token = tmp_path / "token"
    token.write_text("pod-token\n")
    with running_cloud(VaultKMS) as (host, asked):
        key = _at_vault(f"http://{host}", KubernetesLogin("strake", str(token)))
        key.check()
        key.sign(DATA)
    assert asked.count("POST /v1/auth/kubernetes/login") == 1
    assert [each for each in asked if "/keys/" in each] == ["GET /v1/transit/keys/app"]


def test_a_pod_that_vault_does_not_know(tmp_path):
    (tmp_path / "token").write_text("another")
    with (
        running_cloud(VaultKMS) as (host, _),
        pytest.raises(SigningKeyError, match=r"logging in for the role strake .*permission denied") as caught,
    ):
        _at_vault(f"http://{host}", KubernetesLogin("strake", str(tmp_path / "token"))).check()
    assert "another" not in str(caught.value)


def test_a_vault_that_does_not_answer_is_told_and_a_stop_ends_the_tries(monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", "vault-token")
    cancellation = Cancellation()
    service = VaultService(VaultKey("app"), VaultAccess(f"http://127.0.0.1:{free_port()}"), cancellation)
    key = KMSKey(service, cancellation)
    threading.Timer(0.2, key.stop, [RuntimeError("stopped")]).start()
    with pytest.raises(SigningKeyError, match=r"asking for the public key at 127\.0\.0\.1:[0-9]+ failed"):
        key.check()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://vault.example:8200", "has no TLS: it is sent no credentials"),
        ("vault.example", "the address of Vault is none"),
        ("https://vault.example/path", "the address of Vault is none"),
        ("https://user:password@vault.example", "the address of Vault is none"),
    ],
)
def test_a_token_goes_to_no_other_address_than_one_with_tls(address, words):
    with pytest.raises(SigningKeyError, match=words) as caught:
        _at_vault(address)
    assert "password" not in str(caught.value)


def test_without_an_address_or_a_token_nothing_is_asked(monkeypatch, tmp_path):
    for name in ("VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SigningKeyError, match="no address of Vault"):
        open_kms_key("hashivault://app")
    monkeypatch.setenv("VAULT_ADDR", "https://vault.invalid")
    with pytest.raises(SigningKeyError, match="no token for Vault"):
        open_kms_key("hashivault://app").check()


def test_the_version_of_a_google_key_is_the_newest_or_the_named_one(monkeypatch):
    with of_google(monkeypatch) as opened:
        opened("app").check()  # the service signs with version 10 alone
    monkeypatch.setattr(google, "google_token", lambda _: None)
    with pytest.raises(SigningKeyError, match="there is no identity"):
        open_kms_key(f"gcpkms://{RING}/app/versions/10").check()


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("awskms:///nothing", r"write awskms://\[ENDPOINT\]/KEY"),
        ("gcpkms://projects/p", "write gcpkms://projects/P"),
        ("azurekms://vault.example/key", r"write azurekms://VAULT\.vault\.azure\.net/KEY"),
        ("hashivault://a/b", "write hashivault://KEY"),
        ("pkcs11:token", "names no key of a KMS"),
    ],
)
def test_a_uri_that_names_no_key_is_refused_with_the_form_of_its_service(uri, words):
    with pytest.raises(SigningKeyError, match=words):
        open_kms_key(uri)


class Broken(VaultKMS):
    """Answers what no service does."""

    bodies: tuple[object, ...] = ("no JSON", [], {"data": []}, {"data": {"latest_version": 1, "keys": {}}})

    def answer(self, path):
        return 200, self.bodies[len(self.asked) - 1]


def test_an_answer_that_makes_no_sense_is_told(monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", "vault-token")
    with running_cloud(Broken) as (host, _):
        key = _at_vault(f"http://{host}")
        for words in ("no JSON", "no object", "no data.latest_version", r"no keys\.1\.public_key"):
            with pytest.raises(SigningKeyError, match=words):
                key.check()


class Moved(VaultKMS):
    """Sends who asks to another server, which remembers what it is shown."""

    target = ""
    shown: list[str | None]

    def answer(self, path):
        self.shown.append(self.headers["X-Vault-Token"])
        return 307, ""

    def send_header(self, keyword, value):
        if keyword == "Content-Type" and self.target:
            super().send_header("Location", self.target + self.path)
        super().send_header(keyword, value)


def test_a_redirect_takes_no_token_to_another_server(monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", "vault-token")
    here: list[str | None] = []
    elsewhere: list[str | None] = []
    with running_cloud(type("Elsewhere", (Moved,), {"shown": elsewhere})) as (other, _):
        kind = type("Here", (Moved,), {"shown": here, "target": f"http://{other}"})
        with running_cloud(kind) as (host, _), pytest.raises(SigningKeyError, match="status 307"):
            _at_vault(f"http://{host}").check()
    assert (here, elsewhere) == (["vault-token"], [None])


def _at_vault(address: str, login: KubernetesLogin | None = None) -> KMSKey:
    return KMSKey(VaultService(VaultKey("app"), VaultAccess(address, login)))
