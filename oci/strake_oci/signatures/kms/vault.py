"""The transit engine of HashiCorp Vault, by its HTTP API; OpenBao speaks the same.

A pod logs in with the token of its ServiceAccount; a person has a token. Sources: Vault, "Transit secrets
engine (API)", "Kubernetes auth method (API)"; sigstore, `pkg/signature/kms/hashivault`, for the variables.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from strake_oci.errors import SigningKeyError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.signatures.keys import KeyKind
from strake_oci.signatures.kms.encodings import pem_of_ed25519
from strake_oci.signatures.kms.rest import KeyServer, text_of
from strake_oci.ttl_cache import TTLCache

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_oci.cancellation import Cancellation
    from strake_oci.signatures.kms.uri import VaultKey

_PATH: Final = re.compile(r"[A-Za-z0-9_-]+(?:[./][A-Za-z0-9_-]+)*", re.ASCII)
_FOR_GOOD: Final = 3600.0
_SHORTEST: Final = 30.0
_USED_UP: Final = 0.8
_PREFIX: Final = re.compile(r"vault:v[0-9]+:", re.ASCII)
_MAX_TOKEN: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class KubernetesLogin:
    """How a pod gets a token.

    Attributes:
        role: The role of Vault's that it logs in for.
        file: The token of its ServiceAccount, which a kubelet renews.
        mount: Path of the auth method.
    """

    role: str
    file: str
    mount: str = "kubernetes"


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """Where Vault is, and what opens it.

    Attributes:
        address: "https://vault.example:8200".
        opened_by: A token's file, or how one is got; None reads `$VAULT_TOKEN`.
        engine: Path of the transit engine.
        namespace: Of Vault Enterprise or OpenBao, or "".
    """

    address: str
    opened_by: KubernetesLogin | None = None
    engine: str = "transit"
    namespace: str = ""

    @staticmethod
    def of_variables(variables: Mapping[str, str]) -> VaultAccess:
        """Return what cosign's variables say.

        Raises:
            SigningKeyError: They name no Vault.
        """
        address = variables.get("VAULT_ADDR", "")
        if not address:
            raise SigningKeyError(
                "there is no address of Vault",
                hint="set VAULT_ADDR; for builds in a cluster the operator's STRAKE_VAULT_ADDR tells it",
            )
        return VaultAccess(
            address,
            engine=variables.get("TRANSIT_SECRET_ENGINE_PATH", "") or "transit",
            namespace=variables.get("VAULT_NAMESPACE", ""),
        )


class VaultService:
    """A key of Vault's transit engine. Thread-safe; a `KeyService`.

    Args:
        reference: Which key.
        access: Where Vault is, and what opens it.
        cancellation: Ends what is under way.

    Raises:
        SigningKeyError: The address is none, or a path is.
    """

    def __init__(
        self, reference: VaultKey, access: VaultAccess, cancellation: Cancellation | None = None
    ) -> None:
        self._reference = reference
        self._access = access
        parts = urlsplit(access.address.rstrip("/"))
        mount = access.opened_by.mount if access.opened_by else "kubernetes"
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or "@" in parts.netloc:
            raise SigningKeyError("the address of Vault is none", hint="write https://HOST:PORT")
        if not _PATH.fullmatch(access.engine) or not _PATH.fullmatch(mount):
            raise SigningKeyError("the path of the transit engine, or of the auth method, is none")
        right = f"a policy with read on {access.engine}/keys/{reference.name}"
        right += f" and update on {access.engine}/sign/{reference.name}/*"
        self._server = KeyServer(f"{parts.scheme}://{parts.netloc}", right, cancellation)
        self._version = 0
        self._tokens: TTLCache[str, str] = TTLCache()

    @property
    def name(self) -> str:
        """The key, with its service."""
        return f"Vault, key {self._access.engine}/{self._reference.name}"

    def public_key(self) -> bytes:
        """Return the public key in PEM."""
        path = f"/v1/{self._access.engine}/keys/{self._reference.name}"
        answer = self._server.ask("asking for the public key", path, self._headers())
        data = answer.get("data")
        version = data.get("latest_version") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(version, int):
            raise SigningKeyError("the service's answer has no data.latest_version")
        public = text_of(data, "keys", str(version), "public_key")
        self._version = version
        if data.get("type") != "ed25519":
            return public.encode()
        try:
            return pem_of_ed25519(base64.b64decode(public, validate=True))
        except ValueError as error:
            raise SigningKeyError("the public key is no base64") from error

    def sign(self, data: bytes, kind: KeyKind) -> bytes:
        """Return the signature of some data."""
        prehashed = kind is not KeyKind.ED25519
        given = hashlib.sha256(data).digest() if prehashed else data
        document = {
            "input": base64.b64encode(given).decode(),
            "key_version": self._version,
            "prehashed": prehashed,
            "signature_algorithm": "pkcs1v15",
        }
        algorithm = "/sha2-256" if prehashed else ""
        path = f"/v1/{self._access.engine}/sign/{self._reference.name}{algorithm}"
        found = text_of(self._server.ask("signing", path, self._headers(), document), "data", "signature")
        try:
            return base64.b64decode(_PREFIX.sub("", found, count=1), validate=True)
        except ValueError as error:
            raise SigningKeyError("the signature is no base64") from error

    def _headers(self) -> dict[str, str]:
        login = self._access.opened_by
        token = self._tokens.get("", lambda: _own_token() if login is None else self._log_in(login))
        return {"X-Vault-Token": token, **self._namespace()}

    def _namespace(self) -> dict[str, str]:
        return {"X-Vault-Namespace": self._access.namespace} if self._access.namespace else {}

    def _log_in(self, login: KubernetesLogin) -> tuple[str, float]:
        """Return a token for the pod, and the seconds that it is used for."""
        try:
            jwt = Path(login.file).read_text()[:_MAX_TOKEN].strip()
        except OSError as error:
            raise SigningKeyError(f"the ServiceAccount's token cannot be read: {error.strerror}") from error
        document = {"role": login.role, "jwt": jwt}
        path = f"/v1/auth/{login.mount}/login"
        answer = self._server.ask(f"logging in for the role {login.role}", path, self._namespace(), document)
        auth: dict[str, Any] = found if isinstance(found := answer.get("auth"), dict) else {}
        seconds = auth.get("lease_duration")
        lease = float(seconds) if isinstance(seconds, int) and seconds > 0 else _FOR_GOOD
        return text_of(auth, "client_token"), max(_SHORTEST, lease * _USED_UP)


def _own_token() -> tuple[str, float]:
    """Return the token of a person: the variable's, or the one that `vault login` left."""
    token = os.environ.get("VAULT_TOKEN", "").strip()
    if not token:
        try:
            token = Path("~/.vault-token").expanduser().read_text()[:_MAX_TOKEN].strip()
        except (OSError, RuntimeError):
            token = ""
    if not token or not token.isascii() or not token.isprintable():
        raise SigningKeyError("there is no token for Vault", hint="set VAULT_TOKEN, or `vault login`")
    return token, _FOR_GOOD
