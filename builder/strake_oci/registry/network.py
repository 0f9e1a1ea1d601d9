"""Sockets for httpcore that do not wait for ever, and that read more than a little at a time.

httpcore limits the time of each read. A hostile server that sends its headers byte by byte, or one interim
answer after another, stays within that and holds a thread for days. Here the whole head of an answer has a
limit, in time and bytes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpcore

if TYPE_CHECKING:
    from collections.abc import Iterator

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


DIRECT: Final = 16 * 1024 * 1024
"""Bytes from which an answer's body is read past httpcore, for the price of its connection."""

_DIRECT_READ: Final = 1024 * 1024


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


def rest_of_body(stream: httpcore.NetworkStream, size: int, timeout: float | None) -> Iterator[bytes]:
    """Yield the next bytes of a connection as they come; nothing else may be done with it afterwards.

    h11 copies every byte three times on its way, and takes some 30 µs for each piece, of which TLS makes one
    of every 16 KiB.

    Args:
        stream: The connection, everything before the bytes read.
        size: How many to read.
        timeout: Seconds to wait for each piece.

    Raises:
        httpcore.ReadTimeout, httpcore.ReadError: As httpcore does.
        httpcore.RemoteProtocolError: The connection ended before.
    """
    while size:
        piece = stream.read(_DIRECT_READ, timeout)[:size]
        if not piece:
            raise httpcore.RemoteProtocolError(f"it was closed {size} bytes before the end")
        size -= len(piece)
        yield piece


class LimitedBackend(httpcore.NetworkBackend):
    """Makes connections whose reads obey `head_limits`."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        """Connect to a host and port."""
        return _LimitedStream(self._inner.connect_tcp(*arguments, **options))

    def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        """Connect to a socket file."""
        return _LimitedStream(self._inner.connect_unix_socket(*arguments, **options))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._inner.sleep(seconds)


class _LimitedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._socket = _socket(inner)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        head = _waiting.head
        if head is None:
            return self._inner.read(max(max_bytes, READ), timeout)
        if head.seconds <= 0:
            raise httpcore.ReadTimeout("the head of the answer took too long")
        if head.bytes_left <= 0:
            raise httpcore.RemoteProtocolError("the head of the answer is too long")
        begun = time.monotonic()
        limit = head.seconds if timeout is None else min(timeout, head.seconds)
        data = self._inner.read(max(max_bytes, READ), limit)
        head.seconds -= time.monotonic() - begun
        head.bytes_left -= len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._socket is None:
            self._inner.write(buffer, timeout)
            return
        # httpcore copies the rest for each part that is taken; a TLS connection takes 16 KiB at a time.
        rest = memoryview(buffer)
        try:
            while rest:
                self._socket.settimeout(timeout)
                rest = rest[self._socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _LimitedStream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _socket(stream: httpcore.NetworkStream) -> socket.socket | None:
    """Return the socket that a stream writes to; None where something is between: TLS in a proxy's TLS."""
    found = stream.get_extra_info("socket")
    between = stream.get_extra_info("ssl_object") is not None and not isinstance(found, ssl.SSLSocket)
    return None if between or not isinstance(found, socket.socket) else found
