"""Signs as somebody: with a key that lives for minutes, and a certificate of Fulcio's for whom a token names.

sigstore-python asks Fulcio for the certificate, has the signature entered into the transparency log, and
checks what both answered. Which Fulcio and log, and whom to believe, is one document, `ClientTrustConfig`: a
platform has one for its own instance or for Sigstore's public one. It is never fetched. The extra `keyless`
is imported when the first certificate is asked for.

Sources: sigstore, `docs/certificate-specification.md` of Fulcio, "Sigstore client specification".
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from strake_oci.errors import SigningKeyError
from strake_oci.registry.answers import clean

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

AUDIENCE: Final = "sigstore"
"""Of the token that Fulcio is shown: no other server takes it."""
_CONFIG_TYPE: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
_MAX_CONFIG: Final = 1 << 20
_MAX_TOKEN: Final = 64 << 10
_FRESH: Final = 240.0
"""Seconds that a certificate is used for: Fulcio's live ten minutes."""
_DEPTH: Final = 3
_PATIENCE: Final = 90.0
"""Seconds for certificate or log entry: sigstore-python itself would wait for ever."""


class KeylessIdentity:
    """Somebody who signs. Thread-safe.

    Args:
        config: `ClientTrustConfig` in JSON.
        token: Gives the token of OpenID Connect; called for each certificate, since tokens are renewed.

    Raises:
        SigningKeyError: The configuration is none.
    """

    def __init__(self, config: str, token: Callable[[], str]) -> None:
        self._config = checked_config(config)
        self._token = token
        self._lock = threading.Lock()
        self._signer: Any = None
        self._made = 0.0
        self._stopped = threading.Event()

    def check(self) -> None:
        """Get a certificate, so that a refused identity is found before there is something to sign.

        Raises:
            SigningKeyError: There is no certificate, or none that can be believed.
        """
        self._bounded("a certificate of Fulcio", self._fresh)

    def bundle(self, statement: bytes) -> bytes:
        """Return a Sigstore bundle in which the identity signs an in-toto statement.

        Raises:
            SigningKeyError: Fulcio or the log cannot be reached, or refuses.
        """
        return self._bounded("a signature with a certificate", lambda: self._signed(statement))

    def stop(self, reason: Exception) -> None:
        """Wait for nothing that is under way."""
        del reason
        self._stopped.set()

    def _signed(self, statement: bytes) -> bytes:
        from sigstore.dsse import Statement

        signed: str = self._fresh().sign_dsse(Statement(statement)).to_json()
        return signed.encode()

    def _fresh(self) -> Any:
        """Return sigstore-python's signer, with a certificate that is valid for minutes to come."""
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityToken
        from sigstore.sign import SigningContext

        with self._lock:
            if self._signer is None or time.monotonic() - self._made > _FRESH:
                context = SigningContext.from_trust_config(ClientTrustConfig.from_json(self._config))
                token = self._token().strip()[:_MAX_TOKEN]
                with context.signer(IdentityToken(token, AUDIENCE), cache=True) as signer:
                    self._signer, self._made = signer, time.monotonic()
            return self._signer

    def _bounded(self, what: str, work: Callable[[], T]) -> T:
        """Return what some work returns, in another thread, which is left to itself if it takes too long."""
        found: list[T] = []
        failed: list[Exception] = []

        def run() -> None:
            try:
                found.append(work())
            except Exception as error:  # noqa: BLE001 - the library raises its own, requests' and others
                failed.append(error)

        thread = threading.Thread(target=run, name="keyless", daemon=True)
        thread.start()
        ends = time.monotonic() + _PATIENCE
        while thread.is_alive() and time.monotonic() < ends and not self._stopped.is_set():
            thread.join(0.05)
        if failed:
            raise _explained(what, failed[0]) from failed[0]
        if not found:
            raise SigningKeyError(f"{what} did not come in time", hint="check the way to Fulcio and Rekor")
        return found[0]


def checked_config(text: str) -> str:
    """Return a `ClientTrustConfig`, in one line.

    Raises:
        SigningKeyError: It is none.
    """
    try:
        document = json.loads(text) if len(text) <= _MAX_CONFIG else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("mediaType") != _CONFIG_TYPE:
        raise SigningKeyError(
            "the configuration of Sigstore is none",
            hint=f"its mediaType is {_CONFIG_TYPE}: see Keyless in docs/imagebuild.md",
        )
    return json.dumps(document, separators=(",", ":"))


def _explained(what: str, error: Exception) -> SigningKeyError:
    """Return an error without a traceback and without the token, which no message of the library has."""
    if isinstance(error, SigningKeyError):
        return error
    if isinstance(error, ImportError):
        return SigningKeyError("sigstore is not installed", hint="pip install 'strake[keyless]'")
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < _DEPTH:
        causes.append(cause if isinstance(cause, Exception) else Exception(type(cause).__name__))
    words = "; ".join(dict.fromkeys(clean(str(each)) for each in causes if str(each)))
    hint = "check that Fulcio knows the cluster's issuer, and the platform's configuration of Sigstore"
    return SigningKeyError(
        f"there is no {what.partition(' ')[2]}: {words or type(error).__name__}", hint=hint
    )
