"""The executor's way to a signature: it asks the gateway, which has the key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strake_builder.errors import PushUnauthorizedError, SigningError
from strake_builder.gateway.errors import SIGNING_KEY
from strake_builder.output.signing import UNKNOWN_IMAGE, ForgottenImageError
from strake_oci.cancellation import Cancellation
from strake_oci.credentials import NoCredentials
from strake_oci.errors import DeniedError, OCIError, RegistryError, UnauthorizedError
from strake_oci.http.transport import Transport
from strake_oci.registry.auth.authorizer import Authorizer
from strake_oci.registry.auth.tokens import TokenCache
from strake_oci.registry.retry import Retrier, RetryPolicy
from strake_oci.registry.session import Call, Session
from strake_oci.registry.settings import ClientSettings
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.reference import Repository

_DONE: Final = frozenset({204})


class RemoteSigner:
    """Has images signed by the gateway. Thread-safe; a `Signer`.

    Args:
        settings: lead every request to the gateway.
        cancellation: ends what is under way.
    """

    def __init__(self, settings: ClientSettings, cancellation: Cancellation) -> None:
        self._settings = settings
        self._transport = Transport(settings, cancellation)
        self._authorizer = Authorizer(NoCredentials(), TokenCache(self._transport))
        self._retrier = Retrier(RetryPolicy(), cancellation)

    def check(self, repository: Repository) -> None:
        """Make sure that the gateway has a key that it can use.

        Raises:
            SigningError: it has not.
        """
        self._ask(repository, "GET", "", "asking for the key that signs")

    def sign(self, repository: Repository, image: Descriptor) -> None:
        """Have an image signed that was pushed to a repository through the gateway.

        Raises:
            ForgottenImageError: the gateway was started again since it was pushed.
            SigningError, PushUnauthorizedError: it cannot be signed.
        """
        self._ask(repository, "POST", str(image.digest), f"signing manifest {image.digest}")

    def attest(self, repository: Repository, attestation: Digest, index: Digest | None = None) -> None:
        """Have an attestation signed that was pushed to a repository through the gateway.

        Raises:
            ForgottenImageError: the gateway was started again since it was pushed.
            SigningError, PushUnauthorizedError: it cannot be signed.
        """
        name = str(attestation) if index is None else f"{attestation}?index={index}"
        self._ask(repository, "POST", name, f"signing attestation {attestation}", "_attestations")

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _ask(
        self, repository: Repository, method: str, name: str, operation: str, kind: str = "_signatures"
    ) -> None:
        endpoint = self._settings.endpoint(repository.registry)
        session = Session(endpoint, repository, self._transport, self._authorizer, self._retrier)
        with _explained(repository):
            session.request(Call(method, f"{kind}/{name}", operation, _DONE, scopes=())).drain()


@contextmanager
def _explained(repository: Repository) -> Iterator[None]:
    try:
        yield
    except RegistryError as error:
        codes, words = error.context.codes, error.context.detail
        if UNKNOWN_IMAGE in codes:
            raise ForgottenImageError(words) from error
        if SIGNING_KEY in codes:
            raise SigningError(words.removeprefix(f"{SIGNING_KEY}: ")) from error
        kind = PushUnauthorizedError if isinstance(error, (UnauthorizedError, DeniedError)) else SigningError
        raise kind(f"cannot sign in {repository}: {words or error.message}") from error
    except OCIError as error:
        raise SigningError(f"cannot sign in {repository}: {error.message}", hint=error.hint) from error
