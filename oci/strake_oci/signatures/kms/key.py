"""A key in a KMS, which is used as a key at hand is.

Nothing is asked before the key is used, so that a program that serves others starts without waiting.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Protocol

from strake_oci.cancellation import Cancellation
from strake_oci.errors import SigningKeyError
from strake_oci.signatures.keys import VerificationKey

if TYPE_CHECKING:
    from strake_oci.signatures.keys import KeyKind

_PROBE: Final = (
    b"strake: whether this identity may sign with this key; what has this signature is nothing else"
)


class KeyService(Protocol):
    """What a KMS does with one key. Thread-safe."""

    @property
    def name(self) -> str:
        """How errors call the key, with its service."""
        ...

    def public_key(self) -> bytes:
        """Return the public key in PEM. What is signed later is signed with this version of the key.

        Raises:
            SigningKeyError: The service cannot be reached, refuses, or the key is of no use for this.
        """
        ...

    def sign(self, data: bytes, kind: KeyKind) -> bytes:
        """Return the signature of some data, as `SigningKey.sign` would.

        Raises:
            SigningKeyError: The service cannot be reached, or refuses.
        """
        ...


class KMSKey:
    """A private key that stays in a KMS. Thread-safe; a `PrivateKey`.

    Args:
        service: Has the key.
        cancellation: Ends what the service does.
    """

    def __init__(self, service: KeyService, cancellation: Cancellation | None = None) -> None:
        self._service = service
        self._cancellation = cancellation or Cancellation()
        self._lock = threading.Lock()
        self._public: VerificationKey | None = None

    @property
    def public(self) -> VerificationKey:
        """The public key, asked for once.

        Raises:
            SigningKeyError: The service cannot be reached, refuses, or the key is of an unknown kind.
        """
        with self._lock:
            if self._public is None:
                try:
                    self._public = VerificationKey.load(self._service.public_key())
                except SigningKeyError as error:
                    raise self._named(error) from error
            return self._public

    def sign(self, data: bytes) -> bytes:
        """Return the signature of some data.

        Raises:
            SigningKeyError: The service cannot be reached, refuses, or signed with another key.
        """
        public = self.public
        try:
            signature = self._service.sign(data, public.kind)
        except SigningKeyError as error:
            raise self._named(error) from error
        if not public.verifies(signature, data):
            raise SigningKeyError(
                f"{self._service.name}: the signature is not by the key that the service gave",
                hint="if another key has taken its name meanwhile, build again",
            )
        return signature

    def _named(self, error: SigningKeyError) -> SigningKeyError:
        return SigningKeyError(f"{self._service.name}: {error.message}", hint=error.hint)

    def check(self) -> None:
        """Sign something of no meaning, so that a missing right is found before there is something to sign.

        Raises:
            SigningKeyError: As of `sign`.
        """
        self.sign(_PROBE)

    def stop(self, reason: Exception) -> None:
        """End what is under way, and let nothing more begin; of AWS its present request goes on."""
        self._cancellation.cancel(reason)
