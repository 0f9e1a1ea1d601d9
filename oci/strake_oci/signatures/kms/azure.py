"""Azure Key Vault, by its REST API, with the token that azure-identity gets for the pod.

Source: Azure, "Get Key" and "Sign" of the Key Vault REST API 7.4; RFC 7518 for the form of its signatures.
Needs the role Key Vault Crypto User.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any, Final

from strake_oci.credentials.azure import entra_token
from strake_oci.errors import SigningKeyError
from strake_oci.signatures.keys import KeyKind
from strake_oci.signatures.kms import encodings
from strake_oci.signatures.kms.rest import KeyServer, text_of
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_oci.cancellation import Cancellation
    from strake_oci.signatures.kms.uri import AzureKey

_QUERY: Final = "?api-version=7.4"
_LIFETIME: Final = 120.0
"""Seconds that a token is used for; Azure's live for much longer."""
_ALGORITHMS: Final = {KeyKind.ECDSA: "ES256", KeyKind.RSA: "RS256"}
_VERSION: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)


class AzureService:
    """A key of Azure Key Vault. Thread-safe; a `KeyService`.

    Args:
        reference: Which key.
        cancellation: Ends what is under way.
        endpoint: Where the vault is; by default its host, with TLS.
    """

    def __init__(
        self, reference: AzureKey, cancellation: Cancellation | None = None, endpoint: str = ""
    ) -> None:
        self._reference = reference
        base = endpoint or f"https://{reference.host}"
        self._server = KeyServer(base, "the role Key Vault Crypto User for this key", cancellation)
        self._version = reference.version
        self._tokens: TTLCache[str, str] = TTLCache()

    @property
    def name(self) -> str:
        """The key, with its service."""
        return f"Azure Key Vault {self._reference.host}, key {self._reference.name}"

    def public_key(self) -> bytes:
        """Return the public key in PEM."""
        answer = self._ask("asking for the public key", "")
        self._version = text_of(answer, "key", "kid").rpartition("/")[2]
        if not _VERSION.fullmatch(self._version):
            raise SigningKeyError("the service named no version of the key")
        try:
            return _pem(answer["key"])
        except ValueError as error:
            raise SigningKeyError(f"the service sent no public key: {error}") from error

    def sign(self, data: bytes, kind: KeyKind) -> bytes:
        """Return the signature of some data."""
        digest = urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        answer = self._ask("signing", "/sign", {"alg": _ALGORITHMS[kind], "value": digest})
        try:
            signature = encodings.of_base64url(text_of(answer, "value"))
            return encodings.der_of_halves(signature) if kind is KeyKind.ECDSA else signature
        except ValueError as error:
            raise SigningKeyError(f"the service sent no signature: {error}") from error

    def _ask(self, operation: str, tail: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        token = self._tokens.get("", lambda: (_token(self._reference.host), _LIFETIME))
        version = f"/{self._version}" if self._version else ""
        path = f"/keys/{self._reference.name}{version}{tail}{_QUERY}"
        return self._server.ask(operation, path, {"Authorization": f"Bearer {token}"}, document)


def _pem(key: Mapping[str, Any]) -> bytes:
    """Return a JSON Web Key in PEM. Keys in hardware have names of their own for the same kinds."""
    kind, curve = text_of(key, "kty"), key.get("crv")
    if kind in {"EC", "EC-HSM"} and curve == "P-256":
        x, y = (encodings.of_base64url(text_of(key, name)) for name in ("x", "y"))
        return encodings.pem_of_point(x, y)
    if kind in {"RSA", "RSA-HSM"}:
        n, e = (encodings.of_base64url(text_of(key, name)) for name in ("n", "e"))
        return encodings.pem_of_modulus(n, e)
    raise SigningKeyError(
        f"the key is of the kind {kind[:20]} {str(curve or '')[:20]}".rstrip() + ", which is not supported",
        hint="use EC on P-256, or RSA of 2048 to 4096 bits",
    )


def _token(host: str) -> str:
    try:
        from azure.core.exceptions import AzureError
    except ImportError as error:
        raise SigningKeyError(
            "azure-identity is not installed", hint="pip install 'strake[azure]'"
        ) from error
    audience = host.partition(".")[2]  # vault.azure.net, and in other clouds theirs
    try:
        return entra_token(f"https://{audience}/.default")
    except (AzureError, ValueError) as error:
        words = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise SigningKeyError(
            f"no credentials from Azure: {words}",
            hint="check that the service account is federated with an identity that may use the key",
        ) from error
