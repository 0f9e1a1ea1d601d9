"""Which Authorization header a request gets.

The first request to a registry goes out bare; its 401 says what the registry wants, and that is remembered
for the registry, so that later requests carry the right header from the start.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from strake_oci.credentials import ANONYMOUS
from strake_oci.errors import ErrorContext, UnauthorizedError
from strake_oci.http.url_policy import may_have_credentials, redacted
from strake_oci.registry.auth.challenge import Challenge, merge_scopes, parse_challenges, parse_scopes
from strake_oci.registry.auth.tokens import TokenCache, TokenRequest, basic, describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_oci.credentials import Credential, CredentialSource
    from strake_oci.http.endpoint import Endpoint
    from strake_oci.registry.auth.challenge import Scope
    from strake_oci.spec.reference import Repository


class Authorizer:
    """Authenticates requests to any number of registries. Thread-safe.

    Args:
        credentials: Where to find them.
        tokens: Where to get tokens.
    """

    def __init__(self, credentials: CredentialSource, tokens: TokenCache) -> None:
        self._credentials = credentials
        self._tokens = tokens
        self._challenges: dict[str, Challenge] = {}
        self._wider: dict[tuple[str, tuple[Scope, ...]], tuple[Scope, ...]] = {}
        self._lock = threading.Lock()

    def header(self, endpoint: Endpoint, repository: Repository, scopes: tuple[Scope, ...]) -> str:
        """Return the header for a request, or "" if nothing is known to be needed.

        Raises:
            RegistryError: The token server refused or failed.
        """
        credential = self.credential(repository)
        if credential.registry_token:
            # Unasked, a registry in plain HTTP gets nothing; it may not want it.
            allowed = may_have_credentials(endpoint, endpoint.base)
            return f"Bearer {credential.registry_token}" if allowed else ""
        challenge = self._challenges.get(endpoint.base)
        if challenge is None:
            return ""
        wanted = self._wider.get((endpoint.base, scopes), scopes)
        return self._answer(endpoint, repository, challenge, wanted, credential)

    def answer(
        self,
        endpoint: Endpoint,
        repository: Repository,
        scopes: tuple[Scope, ...],
        headers: Iterable[str],
        refused: str,
    ) -> str:
        """Return the header that answers a 401, or "" if there is no better one than that refused.

        Args:
            endpoint: Who refused.
            repository: What was asked about.
            scopes: What the request needs.
            headers: The WWW-Authenticate headers.
            refused: The Authorization header that was sent, or "".

        Raises:
            RegistryError: The token server refused or failed.
        """
        challenges = {challenge.scheme: challenge for challenge in reversed(parse_challenges(headers))}
        challenge = challenges.get("bearer") or challenges.get("basic")
        credential = self.credential(repository)
        if challenge is not None:
            self._refuse_clear_text(endpoint, repository, credential)
        if challenge is None or credential.registry_token:
            return ""
        wanted = merge_scopes(scopes, parse_scopes(challenge.get("scope")))
        with self._lock:
            self._challenges[endpoint.base] = challenge
            if wanted != scopes:
                # Else every such request would be refused first, and an upload sent twice.
                self._wider[endpoint.base, scopes] = wanted
        header = self._answer(endpoint, repository, challenge, wanted, credential, refused)
        return "" if header == refused else header

    def _refuse_clear_text(self, endpoint: Endpoint, repository: Repository, credential: Credential) -> None:
        if credential.is_anonymous or may_have_credentials(endpoint, endpoint.base):
            return
        registry = endpoint.registry
        raise UnauthorizedError(
            ErrorContext(registry, repository.path, "authenticating", redacted(endpoint.base)),
            f"{registry} asks for a password over plain HTTP, where everybody on the way could read it: it "
            "was not sent",
            hint="let the registry speak TLS; where its network is yours alone, allow it by name: "
            f"--insecure-credentials {registry}, or insecureCredentials: true in the platform's registries",
        )

    def credential(self, repository: Repository) -> Credential:
        """Return the credential for a repository. Sources remember what is costly to find, and renew it.

        Raises:
            CredentialError: The source is there but cannot be used.
        """
        return self._credentials.lookup(repository) or ANONYMOUS

    def tried(self, repository: Repository) -> str:
        """Return which credential is used for a repository, for the message of an error."""
        return self._described(repository, self.credential(repository))

    def _described(self, repository: Repository, credential: Credential) -> str:
        if credential.is_anonymous:
            return f"no credentials for {repository.registry}; searched: {self._credentials.describe()}"
        return describe(credential)

    def _answer(
        self,
        endpoint: Endpoint,
        repository: Repository,
        challenge: Challenge,
        scopes: tuple[Scope, ...],
        credential: Credential,
        refused: str = "",
    ) -> str:
        if challenge.scheme == "basic":
            # An identity token is for token servers; it has no place here.
            return basic(credential) if credential.username or credential.password else ""
        request = TokenRequest.of(endpoint, challenge, scopes, credential)
        tried = self._described(repository, credential)
        token = self._tokens.get(request, tried=tried, stale=refused.removeprefix("Bearer "))
        return f"Bearer {token}"
