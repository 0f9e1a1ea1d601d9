"""HTTP, and the only module that knows httpx.

It sends one request over a pooled connection, follows redirects without giving secrets away, and turns every
way in which a connection can fail into an error of ours. Authentication and retries are not its business.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
import time
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final, Self

import httpcore
import httpx

from strake_oci.cancellation import Cancellation
from strake_oci.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    ErrorContext,
    ProtocolError,
    RegistryError,
    SizeExceededError,
    StoppedError,
)
from strake_oci.http.bodies import Body, ends_connection
from strake_oci.http.connect import check_literal
from strake_oci.http.denied_networks import NONE_DENIED
from strake_oci.http.failures import connection_error
from strake_oci.http.kept import IDLE_SECONDS, KeptConnections
from strake_oci.http.network import LimitedBackend, head_limits
from strake_oci.http.proxy import proxy_for
from strake_oci.http.tls import ssl_context
from strake_oci.http.url_policy import check_url, join, may_follow, origin, redacted
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from strake_oci.http.denied_networks import DeniedNetworks
    from strake_oci.http.endpoint import Endpoint, TLSSettings, TransportSettings

_MAX_REDIRECTS: Final = 5
_SECRETS: Final = frozenset({"authorization", "x-amz-security-token", "x-vault-token"})
_BODILESS: Final = frozenset({204, 304})
_DRAIN: Final = 64 * 1024

READ_DEADLINE: Final = 60.0
"""Seconds in which a document (manifest, token, error) must have come in full."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    Attributes:
        method: "GET".
        url: Absolute.
        headers: Authorization included.
        body: None, bytes, or pieces that are sent as they come.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] | None = field(default=None, repr=False)


class Answer:
    """An HTTP response whose body is still to be read. Close it, or use it as a context manager.

    Attributes:
        status: HTTP status.
        url: Where the answer came from, after redirects.
    """

    def __init__(
        self,
        response: httpx.Response,
        request: Request,
        context: ErrorContext,
        silence: float,
        cancellation: Cancellation,
    ) -> None:
        self._response = response
        self._silence = silence
        self._cancellation = cancellation
        self._is_bodiless = request.method == "HEAD" or response.status_code in _BODILESS
        options = self.header("connection")
        self._is_last = request.method != "GET" or ends_connection(response.http_version, options)
        self._context = context
        self.status = response.status_code
        self.url = request.url

    def header(self, name: str) -> str:
        """Return a header's value, or "" without such a header."""
        return str(self._response.headers.get(name, ""))

    def headers(self, name: str) -> list[str]:
        """Return the values of a header that may come several times."""
        return self._response.headers.get_list(name)

    @property
    def content_length(self) -> int | None:
        """The length that the sender announced, or None."""
        value = self.header("content-length")
        return int(value) if value.isascii() and value.isdigit() else None

    def stream(self) -> Iterator[bytes]:
        """Yield the body in the pieces in which it comes, as sent: no content encoding is undone.

        Raises:
            ConnectionFailedError: The connection broke or fell silent.
            StoppedError: The transport was stopped.
        """
        with _mapped(self._context, self._cancellation):
            yield from self._body().stream()

    def relay(self, sink: socket.socket) -> int:
        """Send the body to a socket in blocking mode as it comes, and return its length in bytes.

        Raises:
            OSError: The socket failed; everything else is as of `stream`.
        """
        with _mapped(self._context, self._cancellation):
            return self._body().relay(sink)

    def _body(self) -> Body:
        connection: httpcore.NetworkStream | None = self._response.extensions.get("network_stream")
        if self._is_bodiless or self.header("transfer-encoding"):
            connection = None
        return Body(
            self._response.iter_raw,
            connection,
            self.content_length or 0,
            is_last=self._is_last,
            silence=self._silence,
        )

    def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            SizeExceededError: Longer than the limit; no more than that was read.
            ConnectionFailedError: The connection broke, fell silent, or took too long in all.
        """
        body = bytearray()
        begun = time.monotonic()
        for piece in self.stream():
            body += piece
            if time.monotonic() - begun > READ_DEADLINE:
                self.close()
                raise DeadlineExceededError(
                    self._context, f"the answer did not come to its end in {READ_DEADLINE:.0f} seconds"
                )
            if len(body) > limit:
                self.close()
                raise SizeExceededError(
                    f"{self._context.operation} ({self._context.registry}): "
                    f"the answer is longer than {limit} bytes and was not read"
                )
        return bytes(body)

    def close(self) -> None:
        """Let go of the connection; it is used again only if the body was read to its end."""
        self._response.close()

    def drain(self) -> None:
        """Read a short body away, so that the connection can be used again, and close."""
        with contextlib.suppress(RegistryError, SizeExceededError):
            if self._is_bodiless or (self.content_length or 0) <= _DRAIN:
                self.read(_DRAIN)
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Transport:
    """Sends requests over pooled connections, one pool per set of TLS and socket settings. Thread-safe.

    Args:
        settings: Time limits, User-Agent, number of connections, whether to obey the proxy variables.
        cancellation: Ends whatever is under way, and lets nothing more begin.
    """

    def __init__(self, settings: TransportSettings, cancellation: Cancellation | None = None) -> None:
        self._settings = settings
        self._pools: dict[_Pool, httpx.HTTPTransport] = {}
        self._kept: list[KeptConnections] = []
        self._lock = threading.Lock()
        self._cancellation = cancellation or Cancellation()

    def send(self, endpoint: Endpoint, request: Request, context: ErrorContext) -> Answer:
        """Send a request and return its answer, whatever its status; redirects of GET and HEAD are followed.

        A redirect to another origin loses the Authorization header.

        Args:
            endpoint: Whose TLS settings hold.
            request: What to send.
            context: For errors; the URL is filled in here.

        Raises:
            ConnectionFailedError: No answer came: broken connection, name, certificate, time, a network that
                must not be reached.
            ProtocolError: Too many redirects, or one that must not be followed.
            StoppedError: The transport was stopped.
        """
        for _ in range(_MAX_REDIRECTS + 1):
            context = replace(context, url=redacted(request.url))
            with _mapped(context, self._cancellation):
                pool = self._pool(endpoint, request.url, context)
                with head_limits():
                    response = pool.handle_request(self._built(request))
                answer = Answer(response, request, context, self._settings.timeouts.read, self._cancellation)
            target = answer.header("location")
            if not target or not may_follow(request.method, request.body, answer.status, request.url, target):
                return answer
            answer.drain()
            request = _redirected(request, target, endpoint, context)
        raise ProtocolError(context, f"more than {_MAX_REDIRECTS} redirects")

    def close(self) -> None:
        """Close all connections; nothing may be under way."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
            kept, self._kept = self._kept, []
        for pool in pools:
            pool.close()
        for connections in kept:
            connections.close()

    def _built(self, request: Request) -> httpx.Request:
        times = self._settings.timeouts
        read = times.commit if request.method in {"PUT", "PATCH"} else times.read
        limits = {"connect": times.connect, "read": read, "write": times.write, "pool": None}
        headers = {
            "User-Agent": self._settings.user_agent,
            # A registry's answer is the bytes that were hashed: no encoding may come between.
            "Accept-Encoding": "identity",
            "Accept": "*/*",
            **request.headers,
        }
        return httpx.Request(
            request.method, request.url, headers=headers, content=request.body, extensions={"timeout": limits}
        )

    def _pool(self, endpoint: Endpoint, url: str, context: ErrorContext) -> httpx.HTTPTransport:
        direct = endpoint.unix_socket is not None or not self._settings.trust_env
        proxy = None if direct else proxy_for(url, os.environ)
        networks = self._settings.networks
        if endpoint.any_network and origin(url) == origin(endpoint.base):
            networks = NONE_DENIED
        if proxy is not None:  # the platform's own; it resolves names
            check_literal(httpx.URL(url).host, networks, context)
            networks = NONE_DENIED
        key = _Pool(endpoint.tls, endpoint.unix_socket, proxy, url.startswith("https://"), networks)
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = self._new_pool(endpoint, key)
            return pool

    def _new_pool(self, endpoint: Endpoint, key: _Pool) -> httpx.HTTPTransport:
        most = self._settings.max_connections
        kept = KeptConnections() if key.proxy is None else None
        self._kept += [kept] if kept else []
        made = httpx.HTTPTransport(
            uds=str(key.unix_socket) if key.unix_socket else None,
            limits=httpx.Limits(
                max_connections=most, max_keepalive_connections=most, keepalive_expiry=IDLE_SECONDS
            ),
            # Reading the system's certificates takes longer than a request on loopback.
            verify=ssl_context(endpoint) if key.tls_wanted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            proxy=key.proxy,
        )
        backend = LimitedBackend(self._cancellation, key.networks, kept)
        # httpx has no parameter for it. The tests of hostile servers fail if this should ever go nowhere.
        made._pool._network_backend = backend  # noqa: SLF001 - see above
        return made


@dataclass(frozen=True, slots=True)
class _Pool:
    """What connections must have in common to be used for the same requests."""

    tls: TLSSettings
    unix_socket: Path | None
    proxy: str | None = field(repr=False)
    tls_wanted: bool
    networks: DeniedNetworks


def _redirected(request: Request, target: str, endpoint: Endpoint, context: ErrorContext) -> Request:
    url = join(request.url, target, context, what="redirect")
    check_url(endpoint, url, context, what="redirect")
    headers = dict(request.headers)
    if origin(url) != origin(request.url):
        headers = {name: value for name, value in headers.items() if name.lower() not in _SECRETS}
    return replace(request, url=url, headers=headers)


@contextlib.contextmanager
def _mapped(context: ErrorContext, cancellation: Cancellation) -> Iterator[None]:
    """Turn httpx's exceptions into ours; what breaks because it was stopped did not fail."""
    try:
        with _explained(context):
            yield
    except ConnectionFailedError as error:
        if cancellation.reason is not None:
            raise StoppedError(context, "it was stopped") from error.__cause__
        raise


@contextlib.contextmanager
def _explained(context: ErrorContext) -> Iterator[None]:
    """Say why a connection failed, most specific first."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise DeadlineExceededError(
            context, "no connection in time", hint="check the network path and the proxy variables"
        ) from error
    except (httpx.TimeoutException, httpcore.TimeoutException) as error:
        raise DeadlineExceededError(context, "the registry fell silent") from error
    except (httpx.NetworkError, httpcore.NetworkError) as error:
        raise connection_error(error, context) from error
    except httpx.ProxyError as error:
        raise ConnectionFailedError(
            context, f"the proxy refused: {error}", hint="check HTTPS_PROXY and NO_PROXY"
        ) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ProtocolError(context, f"not a usable URL: {error}") from error
    except (httpx.RemoteProtocolError, httpcore.RemoteProtocolError) as error:
        raise ConnectionFailedError(context, f"the connection broke: {error}") from error
    except httpx.TransportError as error:
        raise ConnectionFailedError(context, str(error) or type(error).__name__) from error
