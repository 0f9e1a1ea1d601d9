"""Talking to one repository: requests authenticated, tried again, and explained when they fail."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from strake_oci.errors import ErrorContext
from strake_oci.http.transport import Request
from strake_oci.http.url_policy import check_url, join, origin
from strake_oci.lazy_dataclass import dataclass
from strake_oci.registry.answers import refusal
from strake_oci.registry.auth.challenge import Scope, merge_scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from strake_oci.http.endpoint import Endpoint
    from strake_oci.http.transport import Answer, Transport
    from strake_oci.registry.auth.authorizer import Authorizer
    from strake_oci.registry.retry import Retrier
    from strake_oci.spec.reference import Repository

_UNAUTHORIZED: Final = 401
_OK: Final = frozenset({200})


@dataclass(frozen=True, slots=True)
class Call:
    """A request in terms of the distribution API.

    Attributes:
        method: "GET".
        tail: What follows "/v2/<name>/", or an absolute URL that the registry gave.
        operation: What is being done, as a gerund phrase for errors: "pulling manifest latest".
        accept: Statuses that are no errors.
        headers: Besides Authorization.
        body: Bytes, or a function that starts the body anew for each attempt; None for none.
        scopes: What the request needs; None means to pull from the repository.
    """

    method: str
    tail: str
    operation: str
    accept: frozenset[int] = _OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Callable[[], Iterable[bytes]] | None = field(default=None, repr=False)
    scopes: tuple[Scope, ...] | None = None


class Session:
    """Talks to a repository. Thread-safe.

    Args:
        endpoint: Where.
        repository: As its registry names it.
        transport: Sends.
        authorizer: Authenticates.
        retrier: Tries again.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        repository: Repository,
        transport: Transport,
        authorizer: Authorizer,
        retrier: Retrier,
    ) -> None:
        self.endpoint = endpoint
        self.repository = repository
        self.retrier = retrier
        self._transport = transport
        self._authorizer = authorizer

    def context(self, operation: str) -> ErrorContext:
        """Return where an error happened, for errors found outside of this class."""
        return ErrorContext(self.repository.registry, self.repository.path, operation)

    def request(self, call: Call) -> Answer:
        """Make a call, again and again as the policy allows, and return an answer of an accepted status.

        Raises:
            RegistryError: In the end it failed.
            CredentialError: The credential source cannot be used.
        """
        return self.retrier.run(lambda: self.once(call))

    def once(self, call: Call) -> Answer:
        """Make a call once (and once more if it only lacked a fresh token).

        Raises:
            RegistryError: It failed.
            CredentialError: The credential source cannot be used.
        """
        context = self.context(call.operation)
        url = self._url(call, context)
        # A URL on another host (an upload location) is not the registry: it gets no Authorization.
        ours = origin(url) == origin(self.endpoint.base)
        pull = (Scope.repository(self.repository.path, "pull"),)
        scopes = merge_scopes(pull if call.scopes is None else call.scopes)
        authorization = self._authorizer.header(self.endpoint, self.repository, scopes) if ours else ""
        answer = self._send(call, url, authorization, context)
        # Nor may a storage that the registry redirects to ask for the registry's password.
        ours = ours and origin(answer.url) == origin(self.endpoint.base)
        if answer.status == _UNAUTHORIZED and ours:
            challenges = answer.headers("www-authenticate")
            better = self._authorizer.answer(
                self.endpoint, self.repository, scopes, challenges, authorization
            )
            if better:
                answer.drain()
                answer = self._send(call, url, better, context)
        if answer.status in call.accept:
            return answer
        raise refusal(answer, context, credential=self.tried(answer))

    def resolve_location(self, answer: Answer, call: Call) -> str:
        """Return the absolute URL in a Location header, checked; "" without one.

        Raises:
            ProtocolError: It leads where it must not.
        """
        location = answer.header("location")
        return self.resolve_link(answer, location, call) if location else ""

    def resolve_link(self, answer: Answer, target: str, call: Call) -> str:
        """Return the absolute form of a URL that an answer names, checked.

        Raises:
            ProtocolError: It leads where it must not.
        """
        context = self.context(call.operation)
        url = join(answer.url, target, context, what="link")
        here = self.endpoint.base
        if here.startswith("https://") and url.startswith("http://") and _same_host(here, url):
            # Registries behind a proxy that ends TLS often do not know that they are spoken to in https.
            url = "https://" + url.removeprefix("http://")
        check_url(self.endpoint, url, context, what="link")
        return url

    def tried(self, answer: Answer) -> str:
        """Return which credential a refusal is about; "" where the registry has sent us elsewhere."""
        ours = origin(answer.url) == origin(self.endpoint.base)
        return self._authorizer.tried(self.repository) if ours else ""

    def _url(self, call: Call, context: ErrorContext) -> str:
        if not call.tail.startswith(("http://", "https://")):
            return self.endpoint.url(self.repository, call.tail)
        check_url(self.endpoint, call.tail, context, what="link")
        return call.tail

    def _send(self, call: Call, url: str, authorization: str, context: ErrorContext) -> Answer:
        headers = dict(call.headers)
        if authorization:
            headers["Authorization"] = authorization
        body = call.body() if callable(call.body) else call.body
        try:
            return self._transport.send(self.endpoint, Request(call.method, url, headers, body), context)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()


def _same_host(one: str, other: str) -> bool:
    return origin(one)[1] == origin(other)[1]
