"""git's only way out where networks are denied: a proxy on loopback, which checks what it connects to.

git resolves names itself, as ssh does; it follows redirects, and fetches submodules whose URLs a repository
names. What it must not reach can therefore not be kept from it by looking at a URL. Here git asks for each
connection: the name is resolved once, its address checked, and that address connected to. TLS and ssh are end
to end.

Where the environment names a proxy for a URL, the connection goes on to that, which resolves the name; only
an address in a URL is checked then.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from strake_builder.context.git import tunnel
from strake_oci.cancellation import Cancellation
from strake_oci.errors import ErrorContext, OCIError, ProtocolError, RegistryError
from strake_oci.http.connect import Connection, check_literal, connect, connect_proxy
from strake_oci.http.denied_networks import DeniedNetworks
from strake_oci.http.proxy import proxy_for
from strake_oci.lazy_dataclass import dataclass

PROTOCOLS: Final = "https:http:git:ssh"
"""What git may speak. ssh is told of the proxy by `context.ssh`."""
_HEAD: Final = 64 * 1024
_HEAD_SECONDS: Final = 30.0
_PIECE: Final = 1 << 16
_DIRECT: Final = "strake-direct"
_OWN_HEADERS: Final = frozenset({"connection", "proxy-connection", "proxy-authorization", _DIRECT})
_REFUSED: Final = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_CONNECTED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(frozen=True, slots=True)
class _Asked:
    """The head of a request to a proxy (RFC 9112, section 3.2).

    Attributes:
        method: CONNECT for a tunnel.
        target: host and port, or a URL.
        headers: lines, without those that are for this proxy.
        is_direct: whether no other proxy is asked.
    """

    method: str
    target: str
    headers: tuple[str, ...]
    is_direct: bool

    @property
    def is_tunnel(self) -> bool:
        return self.method == "CONNECT"

    @property
    def url(self) -> str:
        """What is asked for, as far as the proxy can know."""
        return f"https://{self.target}" if self.is_tunnel else self.target


class GitProxy:
    """Serves the git programs of one fetch. A context manager; leaving it ends all connections.

    Args:
        networks: what must not be reached.
        cancellation: ends all connections, too.
        directory: where a program for git is put meanwhile; by default where temporary files are.

    Attributes:
        problem: why a connection was not made, the last one; None where all were.
        command: a program that connects standard input and output to a host and a port.
    """

    def __init__(
        self, networks: DeniedNetworks, cancellation: Cancellation, directory: str | None = None
    ) -> None:
        self._networks = networks
        self._cancellation = cancellation
        self._parent = directory
        self._lock = threading.Lock()
        self._open: set[Connection | socket.socket] = set()
        self.problem: OCIError | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as scope:
            made = tempfile.TemporaryDirectory(prefix="strake-git-", dir=self._parent)
            self._directory = scope.enter_context(made)
            self._listener = scope.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.command = self._write_command()
            self._scope = scope.pop_all()
        threading.Thread(target=self._accept, name="git-proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._scope.close()
        with self._lock:
            left, self._open = self._open, set()
        for each in left:
            _end(each)

    @property
    def configuration(self) -> tuple[str, ...]:
        """Arguments for git, which count more than what files say."""
        return ("-c", f"http.proxy={self._url}")

    @property
    def variables(self) -> dict[str, str]:
        """The environment for git, in place of every variable about proxies."""
        return {
            "http_proxy": self._url,
            "https_proxy": self._url,
            "all_proxy": self._url,
            "GIT_PROXY_COMMAND": self.command,
            "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        }

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def _port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _write_command(self) -> str:
        """Make the program that git starts for git://, and ssh: git takes one word, not a command line."""
        path = os.path.join(self._directory, "tunnel")
        words = [sys.executable, "-I", "-S", tunnel.__file__, str(self._port)]
        with open(path, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o700)
            file.write(f'#!/bin/sh\nexec {shlex.join(words)} "$1" "$2"\n')
        return path

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="git-proxy", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._held(client), contextlib.suppress(OSError, ValueError):
            client.settimeout(_HEAD_SECONDS)
            asked, rest = _read_head(client)
            client.settimeout(None)
            try:
                server, head = self._connected(asked)
            except OCIError as error:
                self.problem = error
                client.sendall(_REFUSED)
                return
            with self._held(server):
                if head:
                    server.socket.sendall(head + rest)
                else:
                    client.sendall(_CONNECTED)
                _pass_on(client, server.socket)

    def _connected(self, asked: _Asked) -> tuple[Connection, bytes]:
        """Connect; return the connection and what to send first, which is nothing for a tunnel to a server.

        Raises:
            OCIError: it must not be connected to, or cannot be.
        """
        parts = urlsplit(asked.url)
        host, port = parts.hostname or "", parts.port or 80
        context = ErrorContext(host, operation="connecting")
        if parts.scheme not in {"http", "https"} or not host:
            raise ProtocolError(context, "git asked for something else than a server")
        proxy = None if asked.is_direct else proxy_for(asked.url, os.environ)
        if proxy is None:
            server = connect(host, port, self._networks, context, self._cancellation)
            path = asked.target.partition("://")[2].partition("/")[2]
            return server, b"" if asked.is_tunnel else _head(asked, f"/{path}")
        check_literal(host, self._networks, context)
        return connect_proxy(proxy, context, self._cancellation), _head(asked, asked.target, proxy)

    @contextlib.contextmanager
    def _held(self, each: Connection | socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(each)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(each)
            _end(each)


def explained(problem: OCIError) -> tuple[str, str]:
    """Return why a connection was not made, and what to try."""
    if isinstance(problem, RegistryError):
        return f"{problem.context.registry}: {problem.reason}", problem.hint
    return problem.message, problem.hint


def _end(each: Connection | socket.socket) -> None:
    plain = each if isinstance(each, socket.socket) else each.socket
    with contextlib.suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)  # who reads from it comes back
    each.close()


def _read_head(client: socket.socket) -> tuple[_Asked, bytes]:
    """Return a request's head, and what came with it of its body.

    Raises:
        ValueError: it is none.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(_PIECE)
        data += piece
        if not piece or len(data) > _HEAD:
            raise ValueError("no request")
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    names = {line.partition(":")[0].strip().lower() for line in lines}
    kept = (line for line in lines if line.partition(":")[0].strip().lower() not in _OWN_HEADERS)
    return _Asked(method, target, tuple(kept), _DIRECT in names), rest


def _head(asked: _Asked, target: str, proxy: str = "") -> bytes:
    """Return the head to send on. The connection is for one request: the next may be for another server."""
    lines = [f"{asked.method} {target} HTTP/1.1", *asked.headers]
    if not asked.is_tunnel:
        lines.append("Connection: close")
    parts = urlsplit(proxy)
    if parts.username is not None:
        identity = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(identity).decode()}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    """Pass bytes on both ways until the server ends."""
    threading.Thread(target=_pump, args=(client, server), name="git-proxy", daemon=True).start()
    _pump(server, client)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
