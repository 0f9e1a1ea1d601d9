"""Signatures in registries with and without the Referrers API, as cosign reads and writes them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from strake_oci.errors import InvalidDocumentError, UnverifiedError
from strake_oci.registry.client import RegistryClient
from strake_oci.registry.images import RegistryImages
from strake_oci.signatures import BOTH, SignatureForm
from strake_oci.signatures.keys import SigningKey, VerificationKey
from strake_oci.signatures.verification import verify_image
from strake_oci.signatures.writing import ImageSigner
from strake_oci.spec import mediatype
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.signing import (
    PASSWORD,
    KeyPair,
    cosign_attest,
    cosign_sign,
    cosign_verify,
    make_key_pair,
    running_referrers_registry,
)

LEGACY, BUNDLE = SignatureForm.LEGACY, SignatureForm.BUNDLE


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return make_key_pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return make_key_pair(tmp_path_factory.mktemp("others"))


@pytest.fixture(scope="module", params=["without the API", "with the API"])
def registry(request):
    with running_registry() if "without" in request.param else running_referrers_registry() as running:
        yield running


@pytest.fixture
def client(registry):
    with registry.client() as client:
        yield client


@pytest.fixture
def image(request, registry, client):
    """An image of a repository of its own."""
    made = make_image(request.node.name.encode())
    repository = registry.repository(f"signed/{Digest.sha256(request.node.name.encode()).encoded[:12]}")
    made.write(RegistryImages(client, repository), "1")
    return repository, made.descriptor


def key_of(pair) -> SigningKey:
    return SigningKey.load(pair.key.read_bytes(), PASSWORD.encode())


def public_of(pair) -> VerificationKey:
    return VerificationKey.load(pair.public.read_bytes())


def verified_by_cosign(image, pair) -> dict[SignatureForm, bool]:
    repository, descriptor = image
    name = f"{repository}@{descriptor.digest}"
    return {
        form: cosign_verify(name, pair.public, bundle=form is BUNDLE).returncode == 0
        for form in (LEGACY, BUNDLE)
    }


@pytest.mark.parametrize("forms", [BOTH, (LEGACY,), (BUNDLE,)])
def test_cosign_verifies_what_is_signed(client, image, pair, other, forms):
    repository, descriptor = image
    assert ImageSigner(client, key_of(pair), forms).sign(repository, descriptor) == forms
    assert verify_image(client, repository, descriptor.digest, public_of(pair)).verified == forms
    # Where it finds no bundle, cosign looks for the other form.
    assert verified_by_cosign(image, pair) == {LEGACY: LEGACY in forms, BUNDLE: True}
    assert verified_by_cosign(image, other) == {LEGACY: False, BUNDLE: False}


KINDS: dict[str, Any] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA of 2048 bits": lambda: rsa.generate_private_key(65537, 2048),
    "RSA of 4096 bits": lambda: rsa.generate_private_key(65537, 4096),
}


@pytest.mark.parametrize("kind", KINDS)
def test_cosign_verifies_every_kind_of_key(client, image, tmp_path, kind):
    repository, descriptor = image
    pem = KINDS[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = SigningKey.load(pem)
    (tmp_path / "key.pub").write_bytes(key.public.pem())
    ImageSigner(client, key).sign(repository, descriptor)
    made = KeyPair(tmp_path, tmp_path / "key.pub")
    assert verified_by_cosign(image, made) == {LEGACY: True, BUNDLE: True}


def test_what_cosign_signs_is_verified(client, image, pair):
    repository, descriptor = image
    for bundle in (False, True):
        cosign_sign(f"{repository}@{descriptor.digest}", pair.key, bundle=bundle)
    assert verify_image(client, repository, descriptor.digest, public_of(pair)).verified == BOTH


def test_a_signature_of_another_stays(client, image, pair, other):
    repository, descriptor = image
    for bundle in (False, True):
        cosign_sign(f"{repository}@{descriptor.digest}", other.key, bundle=bundle)
    ImageSigner(client, key_of(pair)).sign(repository, descriptor)
    for each in (pair, other):
        assert verify_image(client, repository, descriptor.digest, public_of(each)).verified == BOTH
        assert verified_by_cosign(image, each) == {LEGACY: True, BUNDLE: True}
    assert dict(verify_image(client, repository, descriptor.digest, public_of(pair)).seen) == {
        LEGACY: 2,
        BUNDLE: 2,
    }


def test_what_the_key_has_signed_is_not_signed_again(client, image, pair):
    repository, descriptor = image
    cosign_sign(f"{repository}@{descriptor.digest}", pair.key, bundle=True)
    signer = ImageSigner(client, key_of(pair))
    assert signer.sign(repository, descriptor) == (LEGACY,)
    assert signer.sign(repository, descriptor) == ()
    assert dict(verify_image(client, repository, descriptor.digest, public_of(pair)).seen) == {
        LEGACY: 1,
        BUNDLE: 1,
    }


def test_an_index_is_signed_as_it_is(client, image, pair):
    repository, descriptor = image
    images = RegistryImages(client, repository)
    index = images.push_manifest(Index((descriptor,)).serialize(), mediatype.OCI_INDEX, "all")
    ImageSigner(client, key_of(pair)).sign(repository, index)
    assert verified_by_cosign((repository, index), pair) == {LEGACY: True, BUNDLE: True}
    with pytest.raises(UnverifiedError, match="has no signature"):
        verify_image(client, repository, descriptor.digest, public_of(pair))


class Overtaken(RegistryClient):
    """A client after whose first push another signer, who had read the tag before, writes it."""

    def __init__(self, settings, meanwhile) -> None:
        super().__init__(settings)
        self._meanwhile = [meanwhile]

    def push_manifest(self, reference, data, media_type):
        pushed = super().push_manifest(reference, data, media_type)
        while self._meanwhile:
            self._meanwhile.pop()(reference)
        return pushed


def test_a_signature_that_another_signer_took_away_is_written_again(registry, client, image, pair, other):
    repository, descriptor = image
    ImageSigner(client, key_of(other), (LEGACY,)).sign(repository, descriptor)
    _, theirs = client.manifest(repository, f"sha256-{descriptor.digest.encoded}.sig")
    with Overtaken(
        registry.settings(), lambda tag: client.push_manifest(tag, theirs, mediatype.OCI_MANIFEST)
    ) as overtaken:
        assert ImageSigner(overtaken, key_of(pair), (LEGACY,)).sign(repository, descriptor) == (LEGACY,)
    for each in (pair, other):
        assert verify_image(client, repository, descriptor.digest, public_of(each)).verified == (LEGACY,)


def test_without_a_signature_of_the_key_nothing_is_verified(client, image, pair, other):
    repository, descriptor = image
    with pytest.raises(UnverifiedError, match="has no signature"):
        verify_image(client, repository, descriptor.digest, public_of(pair))
    ImageSigner(client, key_of(other)).sign(repository, descriptor)
    with pytest.raises(UnverifiedError, match="none of the 2 signatures"):
        verify_image(client, repository, descriptor.digest, public_of(pair))


def test_a_signature_moved_to_another_image_counts_for_nothing(client, image, pair):
    repository, descriptor = image
    ImageSigner(client, key_of(pair)).sign(repository, descriptor)
    images = RegistryImages(client, repository)
    victim = make_image(b"another")
    victim.write(images, "2")
    tag = f"sha256-{descriptor.digest.encoded}"
    _, legacy = client.manifest(repository, f"{tag}.sig")
    images.push_manifest(legacy, mediatype.OCI_MANIFEST, f"sha256-{victim.descriptor.digest.encoded}.sig")
    for referrer in client.referrers(repository, descriptor.digest):
        _, data = client.manifest(repository, referrer.digest)
        document = parse(data)
        assert isinstance(document, Manifest)
        moved = Manifest(
            document.config, document.layers, artifact_type=document.artifact_type, subject=victim.descriptor
        )
        images.push_manifest(moved.serialize(), mediatype.OCI_MANIFEST)
    with pytest.raises(UnverifiedError, match="none of the 2 signatures"):
        verify_image(client, repository, victim.descriptor.digest, public_of(pair))
    assert verified_by_cosign((repository, victim.descriptor), pair) == {LEGACY: False, BUNDLE: False}


def test_among_many_signatures_one_is_found_and_their_shared_payload_is_read_once(client, image, pair, other):
    repository, descriptor = image
    ImageSigner(client, key_of(other), (LEGACY,)).sign(repository, descriptor)
    ImageSigner(client, key_of(pair), (LEGACY,)).sign(repository, descriptor)
    tag = f"sha256-{descriptor.digest.encoded}.sig"
    document = parse(client.manifest(repository, tag)[1])
    assert isinstance(document, Manifest)
    theirs, ours = document.layers
    many = Manifest(document.config, (ours, *[theirs] * 2000))
    RegistryImages(client, repository).push_manifest(many.serialize(), mediatype.OCI_MANIFEST, tag)
    read = []

    class Counting(RegistryClient):
        def open_blob(self, repository, descriptor, on_bytes=None):
            read.append(descriptor.digest)
            return super().open_blob(repository, descriptor, on_bytes)

    with Counting(client._settings) as counting:
        found = verify_image(counting, repository, descriptor.digest, public_of(pair))
    assert found.verified == (LEGACY,)
    assert len(read) == 1


def test_an_attestation_is_no_signature(client, image, pair, tmp_path):
    repository, descriptor = image
    predicate = tmp_path / "predicate.json"
    predicate.write_text("{}")
    cosign_attest(f"{repository}@{descriptor.digest}", pair.key, predicate)
    assert len(client.referrers(repository, descriptor.digest)) == 1
    with pytest.raises(UnverifiedError):
        verify_image(client, repository, descriptor.digest, public_of(pair))
    assert ImageSigner(client, key_of(pair), (BUNDLE,)).sign(repository, descriptor) == (BUNDLE,)


def test_a_tag_that_holds_something_else_is_not_written_over(client, image, pair):
    repository, descriptor = image
    images = RegistryImages(client, repository)
    tag = f"sha256-{descriptor.digest.encoded}.sig"
    images.push_manifest(Index((descriptor,)).serialize(), mediatype.OCI_INDEX, tag)
    with pytest.raises(InvalidDocumentError, match="is an index"):
        ImageSigner(client, key_of(pair)).sign(repository, descriptor)
    with pytest.raises(UnverifiedError):
        verify_image(client, repository, descriptor.digest, public_of(pair))


def test_a_payload_that_lies_about_its_length_is_passed_over(client, image, pair):
    repository, descriptor = image
    images = RegistryImages(client, repository)
    blob = images.start_upload()
    blob.write(b"x" * 100_000)
    layer = blob.commit(Digest.sha256(b"x" * 100_000), "application/vnd.dev.cosign.simplesigning.v1+json")
    config = client.manifest(repository, descriptor.digest)
    images.push_blob(layer, lambda: io.BytesIO(b"x" * 100_000))
    document = parse(config[1])
    assert isinstance(document, Manifest)
    big = Manifest(document.config, (layer,))
    images.push_manifest(big.serialize(), mediatype.OCI_MANIFEST, f"sha256-{descriptor.digest.encoded}.sig")
    ImageSigner(client, key_of(pair), (LEGACY,)).sign(repository, descriptor)
    assert verified_by_cosign(image, pair)[LEGACY]
