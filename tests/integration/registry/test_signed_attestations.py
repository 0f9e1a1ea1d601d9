"""Signed provenance in registries with and without the Referrers API, as cosign reads it."""

from __future__ import annotations

import base64
import io
import json

import pytest

from strake_oci.attestations import (
    PROVENANCE,
    SPDX,
    STATEMENT_TYPE,
    AttestationForm,
    attestation_manifest,
    statement_layer,
)
from strake_oci.errors import InvalidDocumentError, UnverifiedError
from strake_oci.registry.images import RegistryImages
from strake_oci.signatures import BOTH, SignatureForm, bundle
from strake_oci.signatures.attesting import MAX_SIGNED, AttestationSigner
from strake_oci.signatures.keys import SigningKey, VerificationKey
from strake_oci.signatures.statements import SignedStatement, verify_statements
from strake_oci.signatures.verification import verify_image
from strake_oci.signatures.writing import ImageSigner, push_bundle
from strake_oci.spec import mediatype
from strake_oci.spec.artifact import EMPTY, EMPTY_CONTENT
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Index, Manifest, parse
from tests.fixtures.building.go_tools import cosign_2
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import running_registry
from tests.fixtures.servers.signing import (
    PASSWORD,
    cosign_attest,
    cosign_verify,
    cosign_verify_attestation,
    make_key_pair,
    running_referrers_registry,
)

LEGACY, BUNDLE = SignatureForm.LEGACY, SignatureForm.BUNDLE


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return [make_key_pair(tmp_path_factory.mktemp("keys"), name) for name in ("ours", "others")]


@pytest.fixture(scope="module", params=["without the API", "with the API"])
def registry(request):
    with running_registry() if "without" in request.param else running_referrers_registry() as running:
        yield running


class Attested:
    """An image and a statement about it, unsigned."""

    def __init__(self, registry, client, name: str, pairs) -> None:
        self.client, self.pairs = client, pairs
        self.repository = registry.repository(f"attested/{Digest.sha256(name.encode()).encoded[:12]}")
        made = make_image(name.encode())
        self.images = RegistryImages(client, self.repository)
        made.write(self.images, "1")
        self.image = made.descriptor

    def statement(self, **changes: object) -> bytes:
        digest = {"sha256": self.image.digest.encoded}
        document = {
            "_type": STATEMENT_TYPE,
            "predicateType": PROVENANCE,
            "subject": [{"name": name, "digest": digest} for name in ("pkg:docker/a@1", "pkg:docker/b@1")],
            "predicate": {"buildDefinition": {"buildType": "x"}, "runDetails": {"builder": {"id": "y"}}},
        }
        return json.dumps(document | changes).encode()

    def push(self, content: bytes, kind: str = PROVENANCE) -> Digest:
        layer = statement_layer(content, kind)
        self.images.push_blob(EMPTY, lambda: io.BytesIO(EMPTY_CONTENT))
        self.images.push_blob(layer, lambda: io.BytesIO(content))
        manifest = attestation_manifest(self.image, (layer,), AttestationForm.REFERRERS).serialize()
        self.images.push_manifest(manifest, mediatype.OCI_MANIFEST)
        return Descriptor.of(mediatype.OCI_MANIFEST, manifest).digest

    @property
    def key(self) -> SigningKey:
        return SigningKey.load(self.pairs[0].key.read_bytes(), PASSWORD.encode())

    def signer(self, forms=BOTH) -> AttestationSigner:
        return AttestationSigner(self.client, self.key, forms)

    def verified(self, pair: int, *, bundle: bool, kind: str = "slsaprovenance1"):
        name = f"{self.repository}@{self.image.digest}"
        return cosign_verify_attestation(name, self.pairs[pair].public, bundle=bundle, kind=kind)


@pytest.fixture
def attested(request, registry, pairs):
    with registry.client() as client:
        yield Attested(registry, client, request.node.name, pairs)


@pytest.mark.parametrize("form", BOTH)
def test_cosign_verifies_provenance_with_the_key_that_signed_it(attested, form):
    content = attested.statement()
    attested.signer((form,)).sign(attested.repository, attested.push(content))
    done = attested.verified(0, bundle=form is BUNDLE)
    assert done.returncode == 0, done.stderr
    assert base64.b64decode(json.loads(done.stdout.splitlines()[0])["payload"]) == content
    assert attested.verified(1, bundle=form is BUNDLE).returncode != 0
    assert attested.verified(0, bundle=form is BUNDLE, kind="spdx").returncode != 0


def test_cosign_2_verifies_image_and_provenance(attested):
    """Many admission controllers are made with its libraries. It reads `legacy` unless it is told otherwise."""
    ImageSigner(attested.client, attested.key, (LEGACY,)).sign(attested.repository, attested.image)
    attested.signer((LEGACY,)).sign(attested.repository, attested.push(attested.statement()))
    name, program = f"{attested.repository}@{attested.image.digest}", cosign_2()
    for pair, is_verified in ((0, True), (1, False)):
        public = attested.pairs[pair].public
        for verify in (cosign_verify, cosign_verify_attestation):
            done = verify(name, public, bundle=False, program=program)
            assert (done.returncode == 0) is is_verified, done.stderr


@pytest.mark.parametrize("form", BOTH)
def test_cosign_verifies_of_an_index_what_was_said_of_its_image(attested, form):
    index = attested.images.push_manifest(Index((attested.image,)).serialize(), mediatype.OCI_INDEX)
    manifest = attested.push(attested.statement())
    attested.signer((form,)).sign(attested.repository, manifest, index.digest)
    name, public = f"{attested.repository}@{index.digest}", attested.pairs[0].public
    done = cosign_verify_attestation(name, public, bundle=form is BUNDLE)
    assert done.returncode == 0, done.stderr
    found = json.loads(base64.b64decode(json.loads(done.stdout.splitlines()[0])["payload"]))
    said = json.loads(attested.statement())
    for each in said["subject"]:
        each["digest"]["sha256"] = index.digest.encoded
    assert found == said
    other = attested.images.push_manifest(Index(()).serialize(), mediatype.OCI_INDEX)
    with pytest.raises(InvalidDocumentError, match="no index that lists"):
        attested.signer((form,)).sign(attested.repository, manifest, other.digest)


@pytest.mark.parametrize("form", BOTH)
def test_cosign_verifies_an_sbom(attested, form):
    content = attested.statement(predicateType=SPDX, predicate={"spdxVersion": "SPDX-2.3", "name": "app"})
    attested.signer((form,)).sign(attested.repository, attested.push(content, SPDX))
    done = attested.verified(0, bundle=form is BUNDLE, kind="spdxjson")
    assert done.returncode == 0, done.stderr
    assert base64.b64decode(json.loads(done.stdout.splitlines()[0])["payload"]) == content
    assert attested.verified(0, bundle=form is BUNDLE).returncode != 0


def test_a_statement_that_is_changed_after_it_was_signed_is_not_verified(attested):
    attested.signer((LEGACY,)).sign(attested.repository, attested.push(attested.statement()))
    tag = f"sha256-{attested.image.digest.encoded}.att"
    document = parse(attested.client.manifest(attested.repository, tag)[1])
    assert isinstance(document, Manifest)
    with attested.client.open_blob(attested.repository, document.layers[0]) as blob:
        envelope = json.loads(blob.read(1 << 20))
    envelope["payload"] = base64.b64encode(attested.statement(predicate={"forged": True})).decode()
    content = json.dumps(envelope).encode()
    layer = Descriptor.of(document.layers[0].media_type, content)
    changed = Descriptor(
        layer.media_type, layer.digest, layer.size, annotations=document.layers[0].annotations
    )
    attested.images.push_blob(changed, lambda: io.BytesIO(content))
    forged = Manifest(document.config, (changed,)).serialize()
    attested.images.push_manifest(forged, mediatype.OCI_MANIFEST, tag)
    assert attested.verified(0, bundle=False).returncode != 0


def statements(attested, pair: int = 0, kind: str = PROVENANCE):
    public = VerificationKey.load(attested.pairs[pair].public.read_bytes())
    return verify_statements(attested.client, attested.repository, attested.image.digest, public, {kind})


@pytest.mark.parametrize("form", BOTH)
def test_what_a_key_signed_is_found_by_it_and_by_no_other(attested, form):
    content = attested.statement()
    attested.signer((form,)).sign(attested.repository, attested.push(content))
    assert statements(attested) == (SignedStatement(attested.image.digest, PROVENANCE, form, content),)
    with pytest.raises(UnverifiedError):
        statements(attested, pair=1)
    with pytest.raises(UnverifiedError, match=SPDX):
        statements(attested, kind=SPDX)


@pytest.mark.parametrize("about", ["another image", "changed"])
def test_a_statement_that_was_moved_or_changed_does_not_count(attested, about):
    other = Descriptor.of(mediatype.OCI_MANIFEST, b"another")
    content = attested.statement(subject=[{"name": "a", "digest": {"sha256": other.digest.encoded}}])
    signed = bundle.signed_envelope(content, attested.key)
    if about == "changed":
        signed["payload"] = base64.b64encode(attested.statement()).decode()
    bundled = bundle.bundled(signed, attested.key)
    push_bundle(attested.client, attested.repository, attested.image, bundled, PROVENANCE)
    with pytest.raises(UnverifiedError):
        statements(attested)


def test_a_signature_of_the_image_is_no_attestation(attested):
    ImageSigner(attested.client, attested.key).sign(attested.repository, attested.image)
    with pytest.raises(UnverifiedError):
        statements(attested)


@pytest.mark.parametrize("form", BOTH)
def test_what_cosign_attests_is_found(attested, form, tmp_path):
    predicate = tmp_path / "predicate.json"
    predicate.write_text('{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"}}}')
    name = f"{attested.repository}@{attested.image.digest}"
    cosign_attest(name, attested.pairs[0].key, predicate, kind="slsaprovenance1", bundle=form is BUNDLE)
    [found] = statements(attested)
    assert (found.form, json.loads(found.content)["predicate"]["buildDefinition"]) == (
        form,
        {"buildType": "x"},
    )


def test_a_signed_attestation_is_no_signature_of_the_image(attested):
    attested.signer().sign(attested.repository, attested.push(attested.statement()))
    public = VerificationKey.load(attested.pairs[0].public.read_bytes())
    with pytest.raises(UnverifiedError):
        verify_image(attested.client, attested.repository, attested.image.digest, public)


def test_an_oversized_statement_is_not_signed(attested):
    digest = attested.push(attested.statement(predicate={"long": "x" * MAX_SIGNED}))
    with pytest.raises(InvalidDocumentError, match="at most"):
        attested.signer().sign(attested.repository, digest)
