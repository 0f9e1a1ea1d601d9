"""The form `bundle`: a Sigstore bundle around an in-toto statement, which refers to the image.

Sources: protobuf-specs, `sigstore_bundle.proto` (bundle 0.3, in the JSON of protobuf); DSSE 1.0,
`protocol.md`; in-toto, "Statement v1"; the predicate type is what `cosign sign` of version 3 writes.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from strake_oci.errors import OCIError
from strake_oci.signatures.keyless.certificate import CertificateSigners
from strake_oci.spec.wire import Text, WireModel, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_oci.signatures.keys import PrivateKey, VerificationKey
    from strake_oci.spec.digest import Digest

    Verifier = VerificationKey | CertificateSigners

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
FAMILY: Final = "application/vnd.dev.sigstore.bundle"
"""How the media types of bundles of all versions begin."""
MAX_BUNDLE: Final = 1 << 20
"""Bytes; a bundle with a key has some 700."""
PREDICATE_TYPE: Final = "https://sigstore.dev/cosign/sign/v1"
PREDICATE_NOTE: Final = "dev.sigstore.bundle.predicateType"
"""The annotation by which a list of referrers tells signatures from attestations."""
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_STATEMENT_TYPES: Final = frozenset({_STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1"})
"""What is read: `cosign attest` writes the older one."""


def notes(created: str, predicate_type: str = PREDICATE_TYPE) -> dict[str, str]:
    """Return what the manifest of a bundle says about it; `created` is a time in RFC 3339."""
    return {
        "org.opencontainers.image.created": created,
        "dev.sigstore.bundle.content": "dsse-envelope",
        PREDICATE_NOTE: predicate_type,
    }


def image_statement(digest: Digest, name: str | None = None) -> bytes:
    """Return the statement that is signed for a manifest; cosign names none, and nothing is known by it."""
    named = {} if name is None else {"name": name}
    return encode(
        {
            "_type": _STATEMENT_TYPE,
            "subject": [{**named, "digest": {digest.algorithm: digest.encoded}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {},
        }
    )


def signed_bundle(digest: Digest, key: PrivateKey) -> bytes:
    """Return a bundle in which a key says that it signs a manifest."""
    return bundled(signed_envelope(image_statement(digest), key), key)


def signed_envelope(statement: bytes, key: PrivateKey) -> dict[str, Any]:
    """Return a DSSE envelope in which a key signs an in-toto statement."""
    return {
        "payload": base64.b64encode(statement).decode(),
        "payloadType": _PAYLOAD_TYPE,
        "signatures": [{"sig": base64.b64encode(key.sign(_encoded(statement))).decode()}],
    }


def bundled(envelope: Mapping[str, Any], key: PrivateKey) -> bytes:
    """Return the bundle of an envelope that a key signed."""
    return encode(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key.public.hint}},
            "dsseEnvelope": envelope,
        }
    )


def is_signed(content: bytes, digest: Digest, key: Verifier) -> bool:
    """Tell whether a bundle is a signature of a manifest, and not an attestation about it."""
    found = signed_statement(content, digest, key)
    return found is not None and found[0] == PREDICATE_TYPE and _type_of(found[1]) == _STATEMENT_TYPE


def signed_statement(
    content: bytes, digest: Digest, key: Verifier, *, limit: int = MAX_BUNDLE
) -> tuple[str, bytes] | None:
    """Return predicate type and bytes of a bundle's statement about a manifest, None without the signature.

    Args:
        content: The bundle.
        digest: What the statement must be about.
        key: What must have signed it.
        limit: Bytes that it may have.
    """
    if isinstance(key, CertificateSigners):
        payload = key.payload(content) if len(content) <= limit else None
        return None if payload is None else _about(payload, digest, limit)
    try:
        envelope = decode(_Bundle, content, what="bundle", limit=limit).envelope
    except OCIError:
        return None
    return _opened(envelope, digest, key, limit)


def enveloped_statement(
    content: bytes, digest: Digest, key: VerificationKey, *, limit: int = MAX_BUNDLE
) -> tuple[str, bytes] | None:
    """Return the same of a DSSE envelope without a bundle around it."""
    try:
        envelope = decode(_Envelope, content, what="envelope", limit=limit)
    except OCIError:
        return None
    return _opened(envelope, digest, key, limit)


def _opened(
    envelope: _Envelope, digest: Digest, key: VerificationKey, limit: int
) -> tuple[str, bytes] | None:
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(each.sig, validate=True) for each in envelope.signatures]
    except binascii.Error:
        return None
    data = _encoded(payload)
    if envelope.payload_type != _PAYLOAD_TYPE or not any(key.verifies(each, data) for each in signatures):
        return None
    return _about(payload, digest, limit)


def _about(payload: bytes, digest: Digest, limit: int) -> tuple[str, bytes] | None:
    """Return predicate type and bytes of a statement that is about a manifest, and None for another."""
    try:
        statement = decode(_Statement, payload, what="statement", limit=limit)
    except OCIError:
        return None
    is_ours = any(each.digest.get(digest.algorithm) == digest.encoded for each in statement.subject)
    return (statement.predicate_type, payload) if is_ours and statement.type in _STATEMENT_TYPES else None


def _type_of(statement: bytes) -> str:
    return decode(_Statement, statement, what="statement", limit=MAX_BUNDLE).type


def _encoded(payload: bytes) -> bytes:
    """Return what is signed in place of a payload: its length and type are part of it (DSSE, "PAE")."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)


class _Signature(WireModel):
    sig: str


class _Envelope(WireModel):
    payload: str
    payload_type: Annotated[str, Field(alias="payloadType")]
    signatures: Annotated[list[_Signature], Field(max_length=16)]


class _Bundle(WireModel):
    media_type: Annotated[Text, Field(alias="mediaType")] = ""
    envelope: Annotated[_Envelope, Field(alias="dsseEnvelope")]


class _Subject(WireModel):
    digest: dict[str, str]


class _Statement(WireModel):
    type: Annotated[str, Field(alias="_type")]
    subject: Annotated[list[_Subject], Field(max_length=1024)]
    predicate_type: Annotated[str, Field(alias="predicateType")]
