"""Sockets for httpcore that do not wait for ever, and that read more than a little at a time.

httpcore limits the time of each read. A hostile server that sends its headers byte by byte, or one interim
answer after another, stays within that and holds a thread for days. Here the whole head of an answer has a
limit, in time and bytes. And another thread can end any wait (`last_words`): for names, connections, TLS,
data.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpcore
from httpcore._backends.sync import SyncStream  # there is no public way from a socket to a stream

from strake_oci.http.denied_networks import NONE_DENIED
from strake_oci.http.last_words import STOPPED, Line, allowed_or_stopped, end_wait_on_cancel
from strake_oci.name_lookup import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strake_oci.cancellation import Cancellation
    from strake_oci.http.denied_networks import DeniedNetworks, Network
    from strake_oci.http.kept import KeptConnections, Server
    from strake_oci.name_lookup import Found

READ: Final = 256 * 1024
"""Bytes taken from a socket at a time. Each piece costs some 30 µs of Python on its way through h11, and
httpcore's own 64 KiB make that a third of the time of a large blob; beyond 256 KiB little is won
(benchmarks/oci_results.md)."""

HEAD_SECONDS: Final = 300.0
"""Of waiting for an answer to begin. A registry that commits a large upload is silent for a while."""

HEAD_BYTES: Final = 2 * 1024 * 1024
"""That may come before an answer's body begins. A real head has some KiB, and may bring the first piece of
the body.
"""

RECORD: Final = 16 * 1024
"""Bytes that TLS brings at a time (RFC 8446, section 5.1)."""
_UNMAPPED: Final = 124 * 1024
"""What a unix socket brings at a time. Where Python asks for more than comes, and for more than 128 KiB, the
C library maps and unmaps memory each time, which takes longer than all else.
"""
UNIX_BUFFER: Final = 1024 * 1024
"""Bytes that may wait in a unix socket, as far as the kernel allows (net.core.wmem_max). With the usual 208
KiB sender and receiver wait for each other by turns, which costs a blob a fifth of its time
(benchmarks/oci_results.md).
"""


@dataclass(slots=True)
class _Head:
    seconds: float
    bytes_left: int


class _Waiting(threading.local):
    """The head that this thread waits for, if any: httpcore reads in the thread that asks."""

    head: _Head | None = None


_waiting: Final = _Waiting()


@contextlib.contextmanager
def head_limits() -> Iterator[None]:
    """Limit what this thread reads meanwhile as the head of an answer; the time of sending does not count."""
    _waiting.head = _Head(HEAD_SECONDS, HEAD_BYTES)
    try:
        yield
    finally:
        _waiting.head = None


class AddressRefusedError(httpcore.ConnectError):
    """A host has no address but such as must not be connected to."""

    def __init__(self, host: str, address: str, network: Network) -> None:
        where = "is" if address == host else f"resolves to {address},"
        super().__init__(f"{host[:255]} {where} in {network}, a network that builds may not reach")


class LimitedBackend(httpcore.NetworkBackend):
    """Makes connections whose reads obey `head_limits`, and that end when they are stopped.

    Args:
        cancellation: Ends every wait; see `last_words`.
        networks: What is not connected to.
        kept: Connections that are used again; None for those to a proxy, which may be tunnels.
    """

    def __init__(
        self,
        cancellation: Cancellation,
        networks: DeniedNetworks = NONE_DENIED,
        kept: KeptConnections | None = None,
    ) -> None:
        self._cancellation = cancellation
        self._networks = networks
        self._kept = kept

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore.NetworkStream:
        """Connect to a host and port: to the first of its addresses where somebody listens.

        The name is resolved once; what was checked is what is connected to.

        Raises:
            AddressRefusedError: None of the addresses that may be reached answered, and one may not.
        """
        if (again := self._again((host, port))) is not None:
            return again
        failure = OSError("the host name has no address")
        refused: AddressRefusedError | None = None
        for family, kind, protocol, _name, address in self._look_up(host, port, timeout):
            if (network := self._networks.network_of(address[0])) is not None:
                refused = AddressRefusedError(host, address[0], network)
                continue
            try:
                made = socket.socket(family, kind, protocol)
                return self._connected(made, address, timeout, (host, port))
            except OSError as error:
                failure = error
        if refused is not None:
            raise refused
        if isinstance(failure, TimeoutError):
            raise httpcore.ConnectTimeout(failure) from failure
        raise httpcore.ConnectError(failure) from failure

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, *_: Any, **__: Any
    ) -> httpcore.NetworkStream:
        """Connect to a socket file."""
        if (again := self._again((path, 0))) is not None:
            return again
        try:
            sock = socket.socket(socket.AF_UNIX)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER)
            return self._connected(sock, path, timeout, (path, 0))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(error) from error
        except OSError as error:
            raise httpcore.ConnectError(error) from error

    def sleep(self, seconds: float) -> None:
        """Wait: never, since httpcore does so between attempts of its own."""
        raise NotImplementedError("httpcore is to make one attempt: retries are the Retrier's")

    def _again(self, server: Server) -> LimitedStream | None:
        return None if self._kept is None else self._kept.take(server)

    def _connected(
        self, sock: socket.socket, address: Any, timeout: float | None, server: Server
    ) -> LimitedStream:
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Line(sock, self._cancellation)
            undo.callback(line.close)
            sock.settimeout(line.seconds(timeout))
            sock.connect(address)
            undo.pop_all()
        home = None if self._kept is None else partial(self._kept.give, server)
        return LimitedStream(SyncStream(sock), line, home)

    def _look_up(self, host: str, port: int, timeout: float | None) -> Found:
        """Return a host's addresses. The system's function cannot be interrupted, so it is left behind."""
        found: Future[Found] = Future()

        def look_up() -> None:
            with contextlib.suppress(InvalidStateError):  # nobody waits any more
                try:
                    found.set_result(NAMES.find(host, port))
                except (OSError, UnicodeError) as error:
                    found.set_exception(error)

        threading.Thread(target=look_up, name="look-up", daemon=True).start()
        take_back = end_wait_on_cancel(self._cancellation, found.cancel)
        try:
            while True:
                try:
                    return found.result(allowed_or_stopped(self._cancellation, timeout))
                except TimeoutError as error:
                    if found.done() or not NAMES.waits:
                        raise httpcore.ConnectTimeout(error) from error
        except CancelledError as error:
            raise httpcore.NetworkError(STOPPED) from error
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(error) from error
        finally:
            take_back()


class LimitedStream(httpcore.NetworkStream):
    """A connection whose waits end with `head_limits` and a cancellation.

    Args:
        inner: The connection.
        line: The same for other threads.
        home: Where it is given to be used again; None closes it.
        is_secured: Whether it is used again, and has its TLS already.

    Attributes:
        raw_socket: its socket, plain or TLS; None where something is between: TLS in a proxy's TLS.
    """

    def __init__(
        self,
        inner: httpcore.NetworkStream,
        line: Line,
        home: Callable[[LimitedStream], None] | None = None,
        *,
        is_secured: bool = False,
    ) -> None:
        self._inner = inner
        self._line = line
        self._home = home
        self._is_secured = is_secured
        self._is_kept = self._is_over = False
        self.raw_socket = _socket(inner)

    @property
    def can_be_kept(self) -> bool:
        """Whether `keep` does anything."""
        return self._home is not None

    def keep(self) -> None:
        """Have the connection used again once it is closed: of the answer all was read, and no more."""
        self._is_kept = self._home is not None

    def seconds(self, wanted: float | None) -> float | None:
        """Return how long this thread may wait for the raw socket, of the seconds that it wants to.

        Raises:
            httpcore.NetworkError: Not at all.
        """
        return self._line.seconds(wanted)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what comes next, as the limits allow."""
        timeout = self._line.seconds(timeout)
        head = _waiting.head
        if head is None:
            return self._inner.read(self._size(max_bytes), timeout)
        if head.seconds <= 0:
            raise httpcore.ReadTimeout("the head of the answer took too long")
        if head.bytes_left <= 0:
            raise httpcore.RemoteProtocolError("the head of the answer is too long")
        begun = time.monotonic()
        limit = head.seconds if timeout is None else min(timeout, head.seconds)
        data = self._inner.read(self._size(max_bytes), limit)
        head.seconds -= time.monotonic() - begun
        head.bytes_left -= len(data)
        return data

    def _size(self, asked: int) -> int:
        if isinstance(self.raw_socket, ssl.SSLSocket) or self._inner.get_extra_info("ssl_object") is not None:
            return RECORD
        is_unix = self.raw_socket is not None and self.raw_socket.family == socket.AF_UNIX
        return _UNMAPPED if is_unix else max(asked, READ)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        if self.raw_socket is None:
            self._inner.write(buffer, self._line.seconds(timeout))
            return
        # httpcore copies the rest for each part that is taken; a TLS connection takes 16 KiB at a time.
        rest = memoryview(buffer)
        try:
            while rest:
                self.raw_socket.settimeout(self._line.seconds(timeout))
                rest = rest[self.raw_socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        """Close the connection, or give it away."""
        if self._is_over:
            return
        self._is_over = True
        if self._is_kept and self._home is not None:
            is_secured = self._inner.get_extra_info("ssl_object") is not None
            # Another object: who still has this one can do nothing to the next request.
            self._home(LimitedStream(self._inner, self._line, self._home, is_secured=is_secured))
            return
        self._line.close()
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the connection with TLS on it."""
        if self._is_secured:
            self._is_secured = False
            return self
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, self._line.seconds(timeout))
        except BaseException:
            self.close()
            raise
        # Over a unix socket TLS may be to any host, and connections to it are kept as those to one server.
        is_tcp = self.raw_socket is not None and self.raw_socket.family != socket.AF_UNIX
        return LimitedStream(inner, self._line, self._home if is_tcp else None)

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks of a connection."""
        return self._inner.get_extra_info(info)


def _socket(stream: httpcore.NetworkStream) -> socket.socket | None:
    found = stream.get_extra_info("socket")
    between = stream.get_extra_info("ssl_object") is not None and not isinstance(found, ssl.SSLSocket)
    return None if between or not isinstance(found, socket.socket) else found
