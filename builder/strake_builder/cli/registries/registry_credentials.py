"""The credentials for registries that a command uses, and the error where one cannot be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strake_builder.errors import InvalidRequestError
from strake_oci.credentials.credential import Credential, CredentialSource
from strake_oci.credentials.sources import HELPERS, Credentials, cloud_credentials, default_credentials
from strake_oci.errors import CredentialError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import Repository


@dataclass(frozen=True, slots=True)
class GatewayCredentials:
    """What a builder has whose gateway has the credentials: none."""

    def lookup(self, repository: Repository) -> Credential | None:  # noqa: ARG002 - the protocol's signature
        """Return None."""
        return None

    def describe(self) -> str:
        """Return where the credentials are."""
        return "the gateway, which tells what it tried"


@dataclass(frozen=True, slots=True)
class UnreadableCredentials:
    """A Secret that is no Docker config.

    Attributes:
        message: why.
        hint: what to try.
    """

    message: str
    hint: str

    def lookup(self, repository: Repository) -> Credential | None:
        """Raise CredentialError: nothing can be looked up."""
        raise CredentialError(f"{self.message}, which holds the credentials for {repository}", hint=self.hint)

    def describe(self) -> str:
        """Return that there is nothing."""
        return self.message


GATEWAY: Final = GatewayCredentials()


def user_credentials(helpers: Sequence[str] | None = None) -> Credentials:
    """Return what a user of Docker expects to be used here, and this machine's identity in a cloud.

    Args:
        helpers: what is asked besides Docker's config, of `HELPERS`; None asks the clouds.

    Raises:
        InvalidRequestError: a Docker config file is there and cannot be read, or a helper is not known.
    """
    with _as_invalid_request():
        return default_credentials(then=cloud_credentials() if helpers is None else _chosen(helpers))


def _chosen(helpers: Sequence[str]) -> tuple[CredentialSource, ...]:
    names = dict.fromkeys(name for text in helpers for name in text.split(",") if name)
    if unknown := [name for name in names if name not in HELPERS]:
        raise InvalidRequestError(
            f"--credential-helpers: {unknown[0]!r} is not known", hint=f"it is one of {', '.join(HELPERS)}"
        )
    return tuple(HELPERS[name]() for name in names)


def mounted_credentials(path: str | None) -> Credentials:
    """Return the credentials of a mounted Docker config file, and of the pod's identity in a cloud.

    Raises:
        InvalidRequestError: the file is there and cannot be read.
    """
    files = [(path, Path(path))] if path is not None else []
    with _as_invalid_request():
        return Credentials.from_files(files, then=cloud_credentials())


@contextmanager
def _as_invalid_request() -> Iterator[None]:
    try:
        yield
    except CredentialError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error
