"""Verifies signatures by who made them, in place of by a key.

sigstore-python checks the certificate and its chain, that the certificate was logged, the log's entry, and
that the certificate was valid then. Nothing is asked over the network: all of it is in the bundle and in the
trusted root. It needs the extra `keyless`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from strake_oci.errors import SigningKeyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.x509 import Certificate

_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_ISSUER: Final = "1.3.6.1.4.1.57264.1.8"
_OLDER_ISSUER: Final = "1.3.6.1.4.1.57264.1.1"
_OTHER_NAME: Final = "1.3.6.1.4.1.57264.1.7"


class Signer(Protocol):
    """Somebody whose signatures count."""

    @property
    def shown(self) -> str:
        """Who, for people."""

    def is_issuer(self, text: str, /) -> bool:
        """Tell whether an issuer of OpenID Connect may vouch."""

    def is_subject(self, text: str, /) -> bool:
        """Tell whether a subject of a certificate is meant."""


class CertificateSigners:
    """Whose signatures count: some people and programs, of whom any may sign.

    Args:
        signers: Who.
        root: `trusted_root.json`, or a `ClientTrustConfig` that has one.

    Raises:
        SigningKeyError: The root is none.
        ImportError: The extra is not installed.
    """

    def __init__(self, signers: Sequence[Signer], root: str) -> None:
        from pydantic import ValidationError
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig, TrustedRoot
        from sigstore.verify import Verifier
        from sigstore_models.trustroot.v1 import TrustedRoot as Document

        try:
            if "clienttrustconfig" in root[:4096]:
                trusted = ClientTrustConfig.from_json(root).trusted_root
            else:
                trusted = TrustedRoot(Document.from_json(root))
            self._verifier = Verifier(trusted_root=trusted)
        except (Error, ValidationError, ValueError) as error:
            raise SigningKeyError(
                "the trusted root cannot be read",
                hint="give trusted_root.json of the Sigstore instance (`cosign trusted-root create`)",
            ) from error
        self._policy: Any = _AnyOf(signers)
        self.shown = " or ".join(each.shown for each in signers)

    def payload(self, content: bytes) -> bytes | None:
        """Return the in-toto statement of a bundle that one of them signed; None for any other bundle."""
        from sigstore.models import Bundle

        try:
            bundle = Bundle.from_json(content)
            kind, payload = self._verifier.verify_dsse(bundle, self._policy)
        except Exception:  # noqa: BLE001 - who can push may have put it there, and what the library stumbles
            return None  # over is no signature: several libraries raise their own, and none ends a build
        found: Any = payload
        return bytes(found) if kind == _PAYLOAD_TYPE else None


class CertificateIdentity(CertificateSigners):
    """Whose signatures count: the subject of a certificate, and who vouched for it.

    Args:
        identity: The certificate's subject alternative name: an e-mail address, or a URI.
        issuer: The URL of the issuer of OpenID Connect.
        root: `trusted_root.json`, or a `ClientTrustConfig` that has one.

    Raises:
        SigningKeyError: The root is none.
        ImportError: The extra is not installed.
    """

    def __init__(self, identity: str, issuer: str, root: str) -> None:
        from sigstore.verify.policy import Identity

        super().__init__((), root)
        self._policy = Identity(identity=identity, issuer=issuer)
        self.identity = identity
        self.shown = f"{identity}, as {issuer} knows it"


class _AnyOf:
    """What sigstore-python asks about a certificate that it has verified otherwise."""

    def __init__(self, signers: Sequence[Signer]) -> None:
        self._signers = tuple(signers)

    def verify(self, certificate: Certificate) -> None:
        """Refuse a certificate of somebody else.

        Raises:
            VerificationError: It is.
        """
        from sigstore.errors import VerificationError

        issuer, subjects = _issuer(certificate), tuple(_subjects(certificate))
        if not any(each.is_issuer(issuer) and any(map(each.is_subject, subjects)) for each in self._signers):
            raise VerificationError("the certificate is of somebody else")


def _issuer(certificate: Certificate) -> str:
    """Return who vouched for the subject; the older extension has no type in it (fulcio, oid-info.md)."""
    wanted = (_ISSUER, _OLDER_ISSUER)
    found = {
        each.oid.dotted_string: each.value.public_bytes()
        for each in certificate.extensions
        if each.oid.dotted_string in wanted
    }
    return _text(found[_ISSUER]) if _ISSUER in found else found[_OLDER_ISSUER].decode()


def _subjects(certificate: Certificate) -> Iterator[str]:
    """Yield the names in the certificate's subject alternative name: of Fulcio's there is one."""
    from cryptography import x509

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    yield from names.get_values_for_type(x509.RFC822Name)
    yield from names.get_values_for_type(x509.UniformResourceIdentifier)
    for other in names.get_values_for_type(x509.OtherName):
        if other.type_id.dotted_string == _OTHER_NAME:
            yield _text(other.value)


def _text(der: bytes) -> str:
    """Return a UTF8String of ASN.1."""
    from cryptography.hazmat import asn1

    found: str = asn1.decode_der(str, der)
    return found
