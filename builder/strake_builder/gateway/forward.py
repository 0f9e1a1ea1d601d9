"""Forwards one request to its registry, with the build's credentials, and hands on the answer as it comes.

Nothing is tried again here: the executor's client does that, and it knows what it sent. Redirects of reads
are followed here, where the pod's proxies and CAs are known.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit

from strake_builder.gateway.errors import (
    GatewayError,
    TooLargeError,
    UnknownUploadError,
    UnsignableError,
)
from strake_builder.gateway.policy import Asked, Kind, Policy
from strake_builder.gateway.referring import ReferringRules
from strake_builder.gateway.replies import Replied, Reply, advice, refused, unreached
from strake_builder.gateway.signing import GatewaySigning
from strake_oci.credentials.credential import CredentialSource
from strake_oci.errors import (
    ConnectionFailedError,
    CredentialError,
    OCIError,
    RegistryError,
)
from strake_oci.http.transport import Answer, Transport
from strake_oci.http.url_policy import origin
from strake_oci.registry.answers import refusal
from strake_oci.registry.auth.authorizer import Authorizer
from strake_oci.registry.auth.challenge import Scope
from strake_oci.registry.auth.tokens import TokenCache
from strake_oci.registry.retry import Retrier, RetryPolicy
from strake_oci.registry.session import Call, Session
from strake_oci.registry.settings import ClientSettings
from strake_oci.spec.reference import Repository

MAX_MANIFEST: Final = 4 << 20
"""Bytes; registries take no larger one (distribution-spec 1.1, "Pushing Manifests")."""
_EVERY_STATUS: Final = frozenset(range(100, 600))
_REFUSALS: Final = frozenset({401, 403})
_ASKED_HEADERS: Final = frozenset(
    {"accept", "content-length", "content-range", "content-type", "if-range", "range"}
)
_ANSWERED_HEADERS: Final = (
    "Accept-Ranges",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Upload-UUID",
    "OCI-Chunk-Min-Length",
    "OCI-Filters-Applied",
    "OCI-Subject",
    "Range",
    "Retry-After",
)

Body = Iterable[bytes]


class Forwarder:
    """Speaks to registries for one build. Thread-safe; leaving the context closes the connections.

    Args:
        settings: how registries are reached.
        policy: what the build may do.
        pull: credentials for reading.
        push: credentials for the build's own repositories.
        signing: signs what the build pushes; by default nothing.
    """

    def __init__(
        self,
        settings: ClientSettings,
        policy: Policy,
        pull: CredentialSource,
        push: CredentialSource,
        signing: GatewaySigning | None = None,
    ) -> None:
        self._signing = signing or GatewaySigning(policy)
        self._referring = ReferringRules(policy, self._signing)
        self._settings = settings
        self._policy = policy
        self._transport = Transport(settings)
        tokens = TokenCache(self._transport)
        self._reading, self._own = Authorizer(pull, tokens), Authorizer(push, tokens)
        self._once = Retrier(RetryPolicy(attempts=1))
        self._key = os.urandom(32)
        self._read: set[Repository] = set()
        self._lock = threading.Lock()

    def forward(self, asked: Asked, headers: Mapping[str, str], body: Body) -> AbstractContextManager[Reply]:
        """Send a request, and return the registry's answer.

        Args:
            asked: what the executor asks for.
            headers: of its request.
            body: of its request, which is read once.

        Raises:
            GatewayError: the build may not do that, or no answer came.
        """
        self._policy.check(asked)
        if asked.kind in {Kind.SIGNATURES, Kind.ATTESTATIONS}:
            return Replied(self._sign(asked))
        is_own = self._policy.is_own(asked.repository)
        session = self._session(asked.repository, self._own if is_own else self._reading)
        call = self._call(session, asked, headers, body)
        try:
            if isinstance(call.body, bytes):
                self._referring.check(asked, call.body, session)
            answer = session.once(call)
            if answer.status in _REFUSALS:
                raise refusal(answer, session.context(call.operation), credential=session.tried(answer))
        except ConnectionFailedError as error:
            raise unreached(error) from error
        except OCIError as error:
            return Replied(refused(error))
        if isinstance(call.body, bytes):
            self._signing.note(asked, call.body, call.headers.get("content-type", ""), answer.status)
        if asked.kind is Kind.MANIFEST and asked.is_read and answer.status == HTTPStatus.OK:
            with self._lock:
                self._read.add(asked.repository)
        try:
            return Replied(self._reply(session, call, asked, answer), answer)
        except OCIError as error:
            answer.close()
            raise GatewayError(error.account) from error

    def _sign(self, asked: Asked) -> Reply:
        try:
            self._signing.answer(asked)
        except ConnectionFailedError as error:
            raise unreached(error) from error
        except (RegistryError, CredentialError) as error:
            return refused(error)
        except OCIError as error:
            raise UnsignableError(advice(error)) from error
        return Reply(HTTPStatus.NO_CONTENT)

    def _session(self, repository: Repository, authorizer: Authorizer) -> Session:
        endpoint = self._settings.endpoint(repository.registry)
        return Session(endpoint, repository, self._transport, authorizer, self._once)

    def _call(self, session: Session, asked: Asked, headers: Mapping[str, str], body: Body) -> Call:
        tail, scopes = asked.tail + (f"?{asked.query}" if asked.query else ""), ["pull"]
        sources: tuple[Scope, ...] = ()
        if not asked.is_read:
            scopes += ["push"]
        if asked.kind is Kind.UPLOAD and asked.name:
            tail = self._location(session, asked)
            scopes += ["delete"] if asked.method == "DELETE" else []
        elif asked.kind is Kind.UPLOAD:
            tail, sources = self._mount(asked)
        kept = {name.lower(): text for name, text in headers.items() if name.lower() in _ASKED_HEADERS}
        scope = Scope.repository(asked.repository.path, *scopes)
        return Call(
            asked.method,
            tail,
            f"{asked.method} {asked.tail[:80]}",
            _EVERY_STATUS,
            kept,
            _sendable(asked, headers, body),
            (scope, *sources),
        )

    def _mount(self, asked: Asked) -> tuple[str, tuple[Scope, ...]]:
        """Return how an upload begins: without a mount of what the build has not read itself.

        Only what was checked is sent: of a field that comes twice a registry may take the other.
        """
        digest, source = _field(asked, "mount"), _field(asked, "from")
        try:
            repository = Repository(asked.repository.registry, source)
        except OCIError:
            return asked.tail, ()
        with self._lock:
            was_read = repository in self._read or self._policy.is_own(repository)
        if not digest or not was_read:
            return asked.tail, ()
        query = urlencode({"mount": digest, "from": source})
        return f"{asked.tail}?{query}", (Scope.repository(source, "pull"),)

    def _location(self, session: Session, asked: Asked) -> str:
        """Return the URL of an upload session that this gateway named, with the digest that ends it."""
        encoded, _, proof = asked.name.partition(".")
        try:
            url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        except (binascii.Error, ValueError):
            url = ""
        if not url or not hmac.compare_digest(self._proof(session.repository, url), proof):
            raise UnknownUploadError("this gateway knows no such upload: begin it again")
        if not (digest := _field(asked, "digest")):
            return url
        glue = "&" if urlsplit(url).query else "?"
        return f"{url}{glue}{urlencode({'digest': digest})}"

    def _proof(self, repository: Repository, url: str) -> str:
        return hmac.new(self._key, f"{repository}\0{url}".encode(), hashlib.sha256).hexdigest()

    def _reply(self, session: Session, call: Call, asked: Asked, answer: Answer) -> Reply:
        headers = {name: value for name in _ANSWERED_HEADERS if (value := answer.header(name))}
        if answer.header("transfer-encoding"):  # it frames the body; the length may be any (RFC 9112, 6.3)
            headers.pop("Content-Length", None)
        if asked.kind is Kind.UPLOAD and (location := session.resolve_location(answer, call)):
            encoded = base64.urlsafe_b64encode(location.encode()).decode().rstrip("=")
            name = f"{encoded}.{self._proof(session.repository, location)}"
            headers["Location"] = f"{_prefix(asked)}/blobs/uploads/{name}"
        if link := answer.header("link"):
            headers |= _link(session, call, asked, answer, link)
        if asked.method == "HEAD":
            return Reply(answer.status, headers)
        relay = functools.partial(_relayed, answer) if "Content-Length" in headers else None
        return Reply(answer.status, headers, _streamed(answer), relay)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()


class _Once:
    """A body that is there once: what the executor has sent it sends again only when it is asked to."""

    def __init__(self, body: Body) -> None:
        self._body: Body | None = body

    def __call__(self) -> Body:
        body, self._body = self._body, None
        if body is None:
            raise GatewayError("the registry asked for credentials after the content was sent")
        return body


def _field(asked: Asked, name: str) -> str:
    """Return the first value of a field of a request's query; "" without one."""
    return parse_qs(asked.query).get(name, [""])[0]


def _sendable(asked: Asked, headers: Mapping[str, str], body: Body) -> bytes | Callable[[], Body] | None:
    """Return what is sent: a short body whole, since a registry may ask for credentials after it has it."""
    if asked.method not in {"PUT", "PATCH", "POST"}:
        return None
    length = {name.lower(): value for name, value in headers.items()}.get("content-length", "")
    is_short = length.isdigit() and int(length) <= MAX_MANIFEST
    return _whole(body) if is_short or asked.kind is Kind.MANIFEST else _Once(body)


def _whole(body: Body) -> bytes:
    data = bytearray()
    for piece in body:
        data += piece
        if len(data) > MAX_MANIFEST:
            raise TooLargeError(f"a manifest has {MAX_MANIFEST >> 20} MiB at most")
    return bytes(data)


def _streamed(answer: Answer) -> Iterator[bytes]:
    try:
        yield from answer.stream()
    except OCIError as error:
        raise GatewayError(error.account) from error


def _relayed(answer: Answer, sink: socket.socket) -> int:
    try:
        return answer.relay(sink)
    except OCIError as error:
        raise GatewayError(error.account) from error


def _prefix(asked: Asked) -> str:
    return f"/{asked.repository.registry}/v2/{asked.repository.path}"


def _link(session: Session, call: Call, asked: Asked, answer: Answer, link: str) -> dict[str, str]:
    """Return the header that leads to the next page, through this gateway."""
    target, found, rest = link.partition(">")
    url = session.resolve_link(answer, target.strip().removeprefix("<"), call)
    if not found or origin(url) != origin(session.endpoint.base):
        return {}
    parts = urlsplit(url)
    return {"Link": f"</{asked.repository.registry}{parts.path}?{parts.query}>{rest}"}
