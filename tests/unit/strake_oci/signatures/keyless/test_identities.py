"""Signatures by identity: what an instance vouches for, and what is put beside an image by others."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest

from strake_oci.errors import SigningKeyError
from strake_oci.signatures import bundle
from strake_oci.signatures.keyless.certificate import CertificateIdentity, CertificateSigners
from strake_oci.signatures.keyless.identity import KeylessIdentity
from strake_oci.spec.digest import Digest
from tests.fixtures.servers.clouds import Cloud, running_cloud
from tests.fixtures.servers.sigstore import IDENTITY, ISSUER, running_sigstore, token

DIGEST = Digest.sha256(b"image")
STATEMENT = bundle.image_statement(DIGEST, "registry.example/app")


@pytest.fixture(scope="module")
def instance():
    with running_sigstore() as running:
        yield running


@pytest.fixture(scope="module")
def signed(instance) -> bytes:
    return KeylessIdentity(instance.config, token).bundle(STATEMENT)


@pytest.fixture(scope="module")
def verifier(instance) -> CertificateIdentity:
    return CertificateIdentity(IDENTITY, ISSUER, instance.root)


def test_a_statement_comes_back_as_it_was_signed(signed, verifier):
    assert verifier.payload(signed) == STATEMENT
    assert bundle.is_signed(signed, DIGEST, verifier)
    assert not bundle.is_signed(signed, Digest.sha256(b"other"), verifier)


def test_a_certificate_is_used_for_minutes_and_what_is_checked_is_not_logged(instance):
    before = len(instance.asked)
    somebody = KeylessIdentity(instance.config, token)
    somebody.check()
    assert instance.asked[before:] == ["POST /api/v2/signingCert"]
    somebody.bundle(STATEMENT)
    somebody.bundle(STATEMENT)
    assert instance.asked[before + 1 :] == ["POST /api/v1/log/entries"] * 2


def test_the_root_may_be_a_part_of_the_configuration(instance, signed):
    assert CertificateIdentity(IDENTITY, ISSUER, instance.config).payload(signed) == STATEMENT


def changed(content: bytes, *path: str | int, value: object) -> bytes:
    document: Any = json.loads(content)
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(document).encode()


ENTRY = ("verificationMaterial", "tlogEntries", 0)
HOSTILE = {
    "another statement": (("dsseEnvelope", "payload"), base64.b64encode(b"{}").decode()),
    "another type": (("dsseEnvelope", "payloadType"), "text/plain"),
    "another signature": (("dsseEnvelope", "signatures", 0, "sig"), base64.b64encode(b"0" * 70).decode()),
    "no signature": (("dsseEnvelope", "signatures"), []),
    "no envelope": (("dsseEnvelope",), None),
    "no log entry": (("verificationMaterial", "tlogEntries"), []),
    "an entry without a promise": ((*ENTRY, "inclusionPromise"), None),
    "an entry at another time": ((*ENTRY, "integratedTime"), "1600000000"),
    "an entry of another log": ((*ENTRY, "logId", "keyId"), base64.b64encode(b"0" * 32).decode()),
    "a checkpoint that nobody signed": (
        (*ENTRY, "inclusionProof", "checkpoint", "envelope"),
        "localhost - 1\n1\nAAAA\n\n",
    ),
    "a proof of a large tree": ((*ENTRY, "inclusionProof", "treeSize"), "9223372036854775807"),
    "no certificate": (("verificationMaterial", "certificate", "rawBytes"), ""),
    "a key in place of a certificate": (("verificationMaterial",), {"publicKey": {"hint": "a"}}),
    "another kind of document": (("mediaType",), "application/json"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_others_put_beside_an_image_is_passed_over(signed, verifier, name):
    path, value = HOSTILE[name]
    assert verifier.payload(changed(signed, *path, value=value)) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"mediaType": 1}'])
def test_and_so_is_what_is_no_bundle(verifier, content):
    assert verifier.payload(content) is None


@pytest.mark.parametrize(
    ("identity", "issuer"), [(IDENTITY, "https://other.example"), (IDENTITY + "2", ISSUER), ("", ISSUER)]
)
def test_somebody_else_counts_for_nothing(instance, signed, identity, issuer):
    assert CertificateIdentity(identity, issuer, instance.root).payload(signed) is None


def test_of_several_any_may_have_signed(instance, signed):
    class Wanted:
        def __init__(self, issuer: str, subject: str) -> None:
            self.issuer, self.subject = issuer, subject
            self.shown = f"{subject} of {issuer}"

        def is_issuer(self, text: str) -> bool:
            return text == self.issuer

        def is_subject(self, text: str) -> bool:
            return text == self.subject

    nobody, crossed = Wanted("https://other.example", IDENTITY), Wanted(ISSUER, "other")
    some = CertificateSigners([nobody, crossed, Wanted(ISSUER, IDENTITY)], instance.root)
    assert some.payload(signed) == STATEMENT
    assert CertificateSigners([nobody, crossed], instance.root).payload(signed) is None
    assert CertificateSigners([], instance.root).payload(signed) is None
    assert some.shown.startswith(f"{IDENTITY} of https://other.example or other of {ISSUER} or ")


def test_a_log_entry_from_after_the_certificate_counts_for_nothing():
    with running_sigstore(late=3600) as late:
        content = KeylessIdentity(late.config, token).bundle(STATEMENT)
        assert CertificateIdentity(IDENTITY, ISSUER, late.root).payload(content) is None


def test_a_certificate_of_another_instance_counts_for_nothing(verifier):
    with running_sigstore() as other:
        assert verifier.payload(KeylessIdentity(other.config, token).bundle(STATEMENT)) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 100_000, '{"mediaType": "application/json"}'])
def test_a_configuration_that_is_none_is_refused(text):
    with pytest.raises(SigningKeyError, match="the configuration of Sigstore is none"):
        KeylessIdentity(text, token)
    with pytest.raises(SigningKeyError, match="the trusted root cannot be read"):
        CertificateIdentity(IDENTITY, ISSUER, text)


def test_what_the_log_does_not_take_is_told(instance):
    statement = STATEMENT.replace(b"registry.example/app", b"forbidden")
    with pytest.raises(SigningKeyError, match=r"there is no signature with a certificate: .*400"):
        KeylessIdentity(instance.config, token).bundle(statement)


class Silent(Cloud):
    """Answers nothing until it is let."""

    goes_on: threading.Event

    def answer(self, path):
        self.goes_on.wait(180)
        return 500, {}


def test_a_stop_waits_for_no_answer(instance):
    goes_on = threading.Event()
    with running_cloud(type("Silent", (Silent,), {"goes_on": goes_on})) as (host, asked):
        document = json.loads(instance.config)
        document["signingConfig"]["caUrls"][0]["url"] = f"http://{host}"
        somebody = KeylessIdentity(json.dumps(document), token)
        threading.Timer(0.2, somebody.stop, [RuntimeError("stopped")]).start()
        with pytest.raises(SigningKeyError, match="did not come in time"):
            somebody.check()
        goes_on.set()
    assert len(asked) <= 1
