"""Verifies signatures by who made them, in place of by a key.

sigstore-python checks the certificate and its chain, that the certificate was logged, the log's entry, and
that the certificate was valid then. Nothing is asked over the network: all of it is in the bundle and in the
trusted root. It needs the extra `keyless`.
"""

from __future__ import annotations

from typing import Any, Final

from strake_oci.errors import SigningKeyError

_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


class CertificateIdentity:
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
        from pydantic import ValidationError
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig, TrustedRoot
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity
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
        self._policy = Identity(identity=identity, issuer=issuer)
        self.identity = identity
        self.issuer = issuer

    def payload(self, content: bytes) -> bytes | None:
        """Return the in-toto statement of a bundle that the identity signed; None for any other bundle."""
        from sigstore.errors import Error
        from sigstore.models import Bundle

        try:
            bundle = Bundle.from_json(content)
            kind, payload = self._verifier.verify_dsse(bundle, self._policy)
        except (Error, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            # Who can push may have put it there: what the library stumbles over is no signature.
            return None
        found: Any = payload
        return bytes(found) if kind == _PAYLOAD_TYPE else None
