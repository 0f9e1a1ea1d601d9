"""What authenticates to a registry, and the protocol of everything that can provide it."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_oci.spec.reference import Repository


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password, an identity token, or a bearer token. Secrets do not show in its repr.

    Attributes:
        source: Where it was found, for people: "/home/me/.docker/config.json (ghcr.io)". Never a secret.
        username: For Basic, and for asking a token server.
        password: Likewise.
        identity_token: OAuth2 refresh token, exchanged at the token server; "" if there is none.
        registry_token: Sent to the registry as it is; "" if there is none.
    """

    source: str
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    @property
    def is_anonymous(self) -> bool:
        """Whether there is nothing to authenticate with."""
        return not (self.username or self.password or self.identity_token or self.registry_token)


ANONYMOUS: Final = Credential("no credentials")
"""Stands for having none."""


class CredentialSource(Protocol):
    """Knows credentials. Implementations are thread-safe."""

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the credential for a repository, or None.

        Raises:
            CredentialError: The source is there but cannot be used.
        """
        ...

    def describe(self) -> str:
        """Return where this source looks, for the message of an error: "DOCKER_CONFIG=/x/config.json"."""
        ...


@dataclass(frozen=True, slots=True)
class NoCredentials:
    """A source without any."""

    def lookup(self, repository: Repository) -> Credential | None:  # noqa: ARG002 the protocol's signature
        """Return None."""
        return None

    def describe(self) -> str:
        """Return that there is nothing."""
        return "nothing, as no source is configured"
