"""Signs statements about an image, so that `cosign verify-attestation` accepts them.

A statement is signed as it is, in a DSSE envelope. The form `bundle` is a Sigstore bundle that refers to the
image; `legacy` is a layer under the tag `sha256-….att`. Sources: DSSE 1.0, `envelope.md`; cosign,
`specs/ATTESTATION_SPEC.md`; in-toto, "Statement v1".

What asks for a signature may be hostile, and a key is believed everywhere. So a statement is signed that says
one thing to every reader: it has the fields of in-toto once each, its subjects are one image, and its
predicate is SLSA provenance or an SBOM.

A tag may name an index, and who verifies asks for statements about what the tag names. So what was said of
an image is also signed as said of an index that lists it.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from strake_oci.attestations import (
    CYCLONEDX,
    PROVENANCE,
    SPDX,
    STATEMENT_TYPE,
    is_attestation,
    read_statement,
)
from strake_oci.errors import InvalidDocumentError
from strake_oci.signatures import BOTH, SignatureForm, bundle, simple_signing
from strake_oci.signatures.verification import SignatureReader
from strake_oci.signatures.writing import push_bundle
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.manifest import Index, Manifest, parse
from strake_oci.spec.reference import Reference
from strake_oci.spec.wire import encode

if TYPE_CHECKING:
    from strake_oci.registry.client import RegistryClient
    from strake_oci.signatures.keys import PrivateKey
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.reference import Repository

MAX_SIGNED: Final = 8 << 20
"""Bytes of a statement that is signed: it is in memory three times, as itself and in base64."""
ENVELOPE_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
_FIELDS: Final = ["_type", "predicate", "predicateType", "subject"]
_SIGNED: Final = frozenset({PROVENANCE, SPDX, CYCLONEDX})
_TRIES: Final = 4
"""How often a tag is written that another signer writes at the same time, as for signatures."""


def attestation_tag(digest: Digest) -> str:
    """Return the tag that has the signed statements about a manifest."""
    return f"{digest.algorithm}-{digest.encoded}.att"


def check_statement(content: bytes, image: Digest) -> str:
    """Refuse a statement that is anything but provenance or an SBOM of one image; return its predicate type.

    Args:
        content: The statement.
        image: What it must be about.

    Raises:
        InvalidDocumentError: It is something else, or readers could take it for different things.
    """
    try:
        pairs = json.loads(content, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise InvalidDocumentError("the statement is no JSON") from error
    if not isinstance(pairs, _Pairs) or sorted(name for name, _ in pairs) != _FIELDS:
        raise InvalidDocumentError("the statement has other fields than those of in-toto's Statement v1")
    fields = dict(pairs)
    kind = fields["predicateType"]
    if fields["_type"] != STATEMENT_TYPE or not isinstance(kind, str) or kind not in _SIGNED:
        raise InvalidDocumentError(
            "the statement is neither SLSA provenance v1 nor an SBOM: a build signs nothing else"
        )
    subjects = fields["subject"]
    if not _is_list(subjects) or not subjects or not all(_is_about(each, image) for each in subjects):
        raise InvalidDocumentError(f"the statement is not about {image} alone")
    return kind


def about_index(content: bytes, index: Digest) -> bytes:
    """Return a checked statement about an image as one about an index that lists the image.

    Args:
        content: The statement. Its names stay: they tell the platform.
        index: That of the index.
    """
    document = json.loads(content)
    digest = {index.algorithm: index.encoded}
    subjects = [{"name": each["name"], "digest": digest} for each in document["subject"]]
    return encode(document | {"subject": subjects})


class AttestationReader:
    """Reads statements that are to be signed. Thread-safe.

    Args:
        client: Reads the repositories.
    """

    def __init__(self, client: RegistryClient) -> None:
        self._client = client

    def subject(self, repository: Repository, manifest: Digest) -> Descriptor:
        """Return the image that an attestation in a repository refers to.

        Raises:
            InvalidDocumentError: It is no attestation, or refers to nothing.
            RegistryError: The registry refused or failed.
        """
        return _subject(self._manifest(repository, manifest), manifest)

    def statements(
        self, repository: Repository, manifest: Digest, index: Digest | None = None
    ) -> tuple[Descriptor, list[tuple[str, bytes]]]:
        """Return what is attested of, and the statements about it with their predicate types.

        Args:
            repository: Where the attestation is.
            manifest: The attestation's.
            index: Of what is to be attested in place of the image; it must list the image.

        Raises:
            InvalidDocumentError: It is no attestation, or one that must not be signed.
            RegistryError: The registry refused or failed.
        """
        document = self._manifest(repository, manifest)
        image = _subject(document, manifest)
        found = [self._checked(repository, layer, image.digest) for layer in document.layers]
        if index is None:
            return image, found
        descriptor, data = self._client.manifest(repository, index)
        listing = parse(data, descriptor.media_type)
        if not isinstance(listing, Index) or image.digest not in {each.digest for each in listing.manifests}:
            raise InvalidDocumentError(f"{index} is no index that lists {image.digest}")
        return descriptor, [(kind, about_index(content, index)) for kind, content in found]

    def _manifest(self, repository: Repository, digest: Digest) -> Manifest:
        descriptor, data = self._client.manifest(repository, digest)
        document = parse(data, descriptor.media_type)
        if not isinstance(document, Manifest) or not is_attestation(document):
            raise InvalidDocumentError(f"{digest} is no attestation")
        return document

    def _checked(self, repository: Repository, layer: Descriptor, image: Digest) -> tuple[str, bytes]:
        if layer.size > MAX_SIGNED:
            raise InvalidDocumentError(
                f"the statement has {layer.size} bytes; at most {MAX_SIGNED} are signed",
                hint="attest with `min`",
            )
        content = read_statement(self._client, repository, layer)
        return check_statement(content, image), content


class AttestationSigner(AttestationReader):
    """Signs statements with one key. Thread-safe.

    Args:
        client: Reads and writes the repositories.
        key: Signs.
        forms: In which forms.
    """

    def __init__(
        self, client: RegistryClient, key: PrivateKey, forms: tuple[SignatureForm, ...] = BOTH
    ) -> None:
        super().__init__(client)
        self._key = key
        self._forms = forms

    def sign(self, repository: Repository, manifest: Digest, index: Digest | None = None) -> None:
        """Sign the statements of an attestation that is in a repository.

        Args:
            repository: Where it is, and the signed statements go.
            manifest: Its name.
            index: What they are to be about in place of the image; it must list the image.

        Raises:
            InvalidDocumentError: It is no attestation, or one that must not be signed.
            RegistryError: The registry refused or failed. What was written before stays.
        """
        image, statements = self.statements(repository, manifest, index)
        for kind, content in statements:
            envelope = bundle.signed_envelope(content, self._key)
            if SignatureForm.LEGACY in self._forms:
                self._tag(repository, image.digest, kind, encode(envelope))
            if SignatureForm.BUNDLE in self._forms:
                signed = bundle.bundled(envelope, self._key)
                push_bundle(self._client, repository, image, signed, kind)

    def _tag(self, repository: Repository, image: Digest, kind: str, envelope: bytes) -> None:
        notes = {"dev.cosignproject.cosign/signature": "", "predicateType": kind}
        layer = replace(Descriptor.of(ENVELOPE_TYPE, envelope), annotations=notes)
        tag = attestation_tag(image)
        reference = Reference(repository, tag)
        reader = SignatureReader(self._client, repository, image, self._key.public)
        for _ in range(_TRIES):
            manifest = reader.tagged(tag)
            if manifest is not None and layer in manifest.layers:
                return
            config, data = simple_signing.with_layer(manifest, layer)
            self._push_blob(repository, Descriptor.of(mediatype.OCI_CONFIG, config), config)
            self._push_blob(repository, layer, envelope)
            self._client.push_manifest(reference, data, mediatype.OCI_MANIFEST)
        manifest = reader.tagged(tag)
        if manifest is None or layer not in manifest.layers:
            raise InvalidDocumentError(f"{reference} is changed by others all the time", hint="try again")

    def _push_blob(self, repository: Repository, blob: Descriptor, content: bytes) -> None:
        self._client.push_blob(repository, blob, lambda: io.BytesIO(content))


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with every field as it was written, so that one in two spellings is seen."""


def _is_list(value: object) -> bool:
    return isinstance(value, list) and not isinstance(value, _Pairs)


def _is_about(subject: object, image: Digest) -> bool:
    """Tell whether a subject is an image, by its digest and no other."""
    if not isinstance(subject, _Pairs) or sorted(name for name, _ in subject) != ["digest", "name"]:
        return False
    digests = dict(subject)["digest"]
    return isinstance(digests, _Pairs) and list(digests) == [(image.algorithm, image.encoded)]


def _subject(document: Manifest, digest: Digest) -> Descriptor:
    if document.subject is None:
        raise InvalidDocumentError(f"the attestation {digest} refers to no image")
    return document.subject
