"""The two forms of a signature, byte by byte."""

from __future__ import annotations

import base64
import json

import pytest

from strake_oci.signatures import bundle, simple_signing
from strake_oci.signatures.keys import SigningKey, VerificationKey
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Repository
from tests.unit.strake_oci.signatures.cosign_key import KEY, PASSWORD, PUBLIC

DIGEST, OTHER = Digest.sha256(b"image"), Digest.sha256(b"other")
OWN, PUBLIC_KEY = SigningKey.load(KEY, PASSWORD), VerificationKey.load(PUBLIC)


@pytest.mark.parametrize(
    ("repository", "named"),
    [
        ("registry.example/team/app", "registry.example/team/app"),
        ("localhost:5000/app", "localhost:5000/app"),
        ("alpine", "index.docker.io/library/alpine"),
    ],
)
def test_the_payload_is_cosigns(repository, named):
    assert simple_signing.payload(Repository.parse(repository), DIGEST).decode() == (
        f'{{"critical":{{"identity":{{"docker-reference":"{named}"}},'
        f'"image":{{"docker-manifest-digest":"{DIGEST}"}},'
        '"type":"cosign container image signature"},"optional":null}'
    )


def test_the_tag_is_cosigns():
    assert simple_signing.signature_tag(DIGEST) == f"sha256-{DIGEST.encoded}.sig"


ABOUT = {
    "ours": (simple_signing.payload(Repository.parse("a"), DIGEST), True),
    "with notes of the signer": (
        json.dumps(
            {
                "critical": {
                    "identity": {"docker-reference": ""},
                    "image": {"docker-manifest-digest": str(DIGEST)},
                    "type": "cosign container image signature",
                },
                "optional": {"commit": "abc", "n": 1},
            }
        ).encode(),
        True,
    ),
    "another image": (simple_signing.payload(Repository.parse("a"), OTHER), False),
    "another type": (
        simple_signing.payload(Repository.parse("a"), DIGEST).replace(b"cosign", b"other"),
        False,
    ),
    "no JSON": (b"{", False),
    "another document": (b'{"critical": []}', False),
    "nothing": (b"", False),
    "too long": (b" " * (simple_signing.MAX_PAYLOAD + 1), False),
}


@pytest.mark.parametrize("name", ABOUT)
def test_a_payload_counts_for_the_image_that_it_names(name):
    content, is_about = ABOUT[name]
    assert simple_signing.is_about(content, DIGEST) is is_about


def test_a_layer_carries_a_signature_of_its_payload():
    content = simple_signing.payload(Repository.parse("a"), DIGEST)
    layer = simple_signing.signed_layer(content, OWN)
    assert simple_signing.is_signed(layer, content, PUBLIC_KEY)
    assert not simple_signing.is_signed(layer, content + b" ", PUBLIC_KEY)
    for notes in (
        {},
        {"dev.cosignproject.cosign/signature": "?"},
        {"dev.cosignproject.cosign/signature": ""},
    ):
        bare = Descriptor(layer.media_type, layer.digest, layer.size, annotations=notes)
        assert not simple_signing.is_signed(bare, content, PUBLIC_KEY)


def test_a_further_signature_keeps_what_is_there():
    layers = [
        simple_signing.signed_layer(simple_signing.payload(Repository.parse(name), DIGEST), OWN)
        for name in "abc"
    ]
    before = Manifest(Descriptor.of("x/config", b"{}"), tuple(layers[:2]), annotations={"made.by": "another"})
    config, data = simple_signing.with_layer(before, layers[2])
    after = parse(data)
    assert isinstance(after, Manifest)
    assert after.layers == tuple(layers)
    assert after.annotations == {"made.by": "another"}
    assert after.config.digest == Digest.sha256(config)
    assert json.loads(config)["rootfs"]["diff_ids"] == [str(layer.digest) for layer in layers]


def test_a_bundle_has_the_fields_of_version_0_3():
    document = json.loads(bundle.signed_bundle(DIGEST, OWN))
    envelope = document["dsseEnvelope"]
    assert document["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert document["verificationMaterial"] == {"publicKey": {"hint": PUBLIC_KEY.hint}}
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert json.loads(base64.b64decode(envelope["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": DIGEST.encoded}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }


def changed(**changes: object) -> bytes:
    document = json.loads(bundle.signed_bundle(DIGEST, OWN))
    document["dsseEnvelope"] |= changes
    return json.dumps(document).encode()


def resigned(**changes: object) -> bytes:
    """A bundle that our key signed, of another statement."""
    document = json.loads(bundle.signed_bundle(DIGEST, OWN))
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"])) | changes
    payload = json.dumps(statement).encode()
    kind = "application/vnd.in-toto+json"
    signature = OWN.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    return changed(
        payload=base64.b64encode(payload).decode(), signatures=[{"sig": base64.b64encode(signature).decode()}]
    )


BUNDLES = {
    "ours": (changed(), True),
    "a further subject": (
        resigned(
            subject=[{"digest": {"sha256": "0" * 64}}, {"name": "x", "digest": {"sha256": DIGEST.encoded}}]
        ),
        True,
    ),
    "another image": (bundle.signed_bundle(OTHER, OWN), False),
    "an attestation": (resigned(predicateType="https://slsa.dev/provenance/v1"), False),
    "another statement": (resigned(_type="https://in-toto.io/Statement/v0.1"), False),
    "no subject": (resigned(subject=[]), False),
    "a payload that nobody signed": (changed(payload=base64.b64encode(b"{}").decode()), False),
    "another type of payload": (changed(payloadType="text/plain"), False),
    "no signature": (changed(signatures=[]), False),
    "a signature that is none": (changed(signatures=[{"sig": "AAAA"}]), False),
    "no base64": (changed(payload="?"), False),
    "no envelope": (b'{"messageSignature": {}}', False),
    "no JSON": (b"[", False),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_counts_for_the_image_that_it_signs(name):
    content, is_signed = BUNDLES[name]
    assert bundle.is_signed(content, DIGEST, PUBLIC_KEY) is is_signed
