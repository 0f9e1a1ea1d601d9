"""Google Cloud KMS, by its REST API: the official client brings gRPC, which is heavier than all of Strake.

Source: Google, "Cloud KMS API" v1: `cryptoKeyVersions.list`, `getPublicKey`, `asymmetricSign`. Needs
`roles/cloudkms.signerVerifier`, and for a URI without a version `roles/cloudkms.viewer` too.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from strake_oci.credentials.gcp import google_token
from strake_oci.errors import CredentialError, SigningKeyError
from strake_oci.signatures.keys import KeyKind
from strake_oci.signatures.kms.rest import KeyServer, text_of
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation
    from strake_oci.signatures.kms.uri import GoogleKey

ENDPOINT: Final = "https://cloudkms.googleapis.com"
_SCOPE: Final = "https://www.googleapis.com/auth/cloudkms"
_EARLY: Final = 120.0
_UNKNOWN_LIFETIME: Final = 300.0
_ALGORITHMS: Final = frozenset(
    {
        "EC_SIGN_P256_SHA256",
        "EC_SIGN_ED25519",
        *(f"RSA_SIGN_PKCS1_{bits}_SHA256" for bits in (2048, 3072, 4096)),
    }
)
"""What cosign verifies with the public key alone: PSS and SHA-512 it must be told."""


class GoogleService:
    """A key of Google Cloud KMS. Thread-safe; a `KeyService`.

    Args:
        reference: Which key.
        cancellation: Ends what is under way.
        endpoint: Where the service is.
    """

    def __init__(
        self, reference: GoogleKey, cancellation: Cancellation | None = None, endpoint: str = ENDPOINT
    ) -> None:
        self._reference = reference
        self._server = KeyServer(endpoint, "roles/cloudkms.signerVerifier for this key", cancellation)
        self._version = reference.version
        self._tokens: TTLCache[str, str] = TTLCache()

    @property
    def name(self) -> str:
        """The key, with its service."""
        return f"Google Cloud KMS, key {self._reference.name}"

    def public_key(self) -> bytes:
        """Return the public key in PEM."""
        if not self._version:
            self._version = self._newest()
        answer = self._ask("asking for the public key", f"{self._path}/publicKey")
        algorithm = text_of(answer, "algorithm")
        if algorithm not in _ALGORITHMS:
            raise SigningKeyError(
                f"its algorithm {algorithm[:60]} is not supported",
                hint=f"use {', '.join(sorted(_ALGORITHMS))}",
            )
        return text_of(answer, "pem").encode()

    def sign(self, data: bytes, kind: KeyKind) -> bytes:
        """Return the signature of some data."""
        if kind is KeyKind.ED25519:
            document: dict[str, Any] = {"data": base64.b64encode(data).decode()}
        else:
            document = {"digest": {"sha256": base64.b64encode(hashlib.sha256(data).digest()).decode()}}
        answer = self._ask("signing", f"{self._path}:asymmetricSign", document)
        try:
            return base64.b64decode(text_of(answer, "signature"), validate=True)
        except ValueError as error:
            raise SigningKeyError("the signature is no base64") from error

    @property
    def _path(self) -> str:
        return f"/v1/{self._reference.name}/cryptoKeyVersions/{self._version}"

    def _newest(self) -> str:
        """Return the number of the newest version that is enabled."""
        query = "?filter=state%3DENABLED&pageSize=1000"
        answer = self._ask("looking for a version", f"/v1/{self._reference.name}/cryptoKeyVersions{query}")
        versions = answer.get("cryptoKeyVersions")
        names = [each.get("name") for each in versions or () if isinstance(each, dict)]
        numbers = [str(name).rpartition("/")[2] for name in names]
        if not (known := [int(each) for each in numbers if each.isascii() and each.isdigit()]):
            raise SigningKeyError("no version of it is enabled")
        return str(max(known))

    def _ask(self, operation: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        token = self._tokens.get("", _token)
        return self._server.ask(operation, path, {"Authorization": f"Bearer {token}"}, document)


def _token() -> tuple[str, float]:
    try:
        found = google_token(_SCOPE)
    except ImportError as error:
        raise SigningKeyError("google-auth is not installed", hint="pip install 'strake[gcp]'") from error
    except CredentialError as error:
        raise SigningKeyError(f"no credentials from Google: {error.message}", hint=error.hint) from error
    if found is None:
        raise SigningKeyError(
            "there is no identity: neither workload identity, nor a key's file, nor the machine's",
            hint="bind the service account to one, or set GOOGLE_APPLICATION_CREDENTIALS",
        )
    token, expiry = found
    lifetime = _UNKNOWN_LIFETIME if expiry is None else (expiry - datetime.now(UTC)).total_seconds() - _EARLY
    return token, lifetime
