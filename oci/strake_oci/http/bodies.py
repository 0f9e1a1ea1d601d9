"""Bodies of large answers, past httpcore and, on their way to another socket, past Python.

h11 copies every byte three times on its way, and takes some 30 µs for each piece. For a blob that is a third
of the time (benchmarks/oci_results.md), so the rest of a long body is taken from the connection itself, which
is used again all the same (`kept`, docs/decisions/0059-kept-connections.md).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Final

import httpcore

from strake_oci.http.network import RECORD, LimitedStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIRECT: Final = 1024 * 1024
"""Bytes from which an answer's body is read past httpcore."""
DIRECT_ONCE: Final = 16 * 1024 * 1024
"""The same where the price is the connection, which cannot be kept: through a proxy."""
_READ: Final = 1024 * 1024
_JOINED: Final = 256 * 1024
_PIPE: Final = 1024 * 1024
"""Bytes: the most that an ordinary user's pipe holds (fs.pipe-max-size)."""
_GATHERING: Final = 0.25
"""Seconds for which what has come of a piece waits for the rest of it."""
_NOT_SPLICED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM})
"""How kernels and sandboxes tell that these two sockets cannot be spliced."""


class Body:
    """An answer's body as it comes, of which the connection brings the most where it is long.

    Args:
        pieces: Yields what httpcore reads of it.
        connection: The connection, if it can be read past httpcore.
        length: Bytes, as announced; 0 where nothing is.
        is_last: Whether nothing may follow on the connection.
        silence: Seconds to wait for each piece.
    """

    def __init__(
        self,
        pieces: Callable[[], Iterator[bytes]],
        connection: httpcore.NetworkStream | None,
        length: int,
        *,
        is_last: bool,
        silence: float | None,
    ) -> None:
        self._pieces = pieces
        self._length = length
        self._silence = silence
        self._is_kept = isinstance(connection, LimitedStream) and connection.can_be_kept and not is_last
        is_long = length >= (DIRECT if self._is_kept else DIRECT_ONCE)
        self._connection = connection if is_long else None

    def stream(self) -> Iterator[bytes]:
        """Yield it in pieces; raises what httpcore does."""
        # `pieces` stays alive meanwhile: dropped, it would close the connection.
        pieces = self._pieces()
        if self._connection is None:
            yield from pieces
            return
        first = next(pieces, b"")  # all that h11 holds of it
        yield first
        if len(first) == self._length:
            yield from pieces
            return
        yield from rest_of_body(self._connection, self._length - len(first), self._silence)
        self._keep(self._connection)

    def relay(self, sink: socket.socket) -> int:
        """Send it to a socket in blocking mode, and return its length in bytes.

        Raises:
            OSError: The socket failed; everything else is as of `stream`.
        """
        pieces, sent = self._pieces(), 0
        if self._connection is None:
            for piece in pieces:
                sink.sendall(piece)
                sent += len(piece)
            return sent
        first = next(pieces, b"")
        sink.sendall(first)
        if len(first) == self._length:
            next(pieces, b"")  # httpcore learns that it is over
            return self._length
        relay_rest(self._connection, self._length - len(first), sink, self._silence)
        self._keep(self._connection)
        return self._length

    def _keep(self, connection: httpcore.NetworkStream) -> None:
        if self._is_kept and isinstance(connection, LimitedStream):
            connection.keep()


def ends_connection(version: str, options: str) -> bool:
    """Return whether a server lets nothing follow its answer (RFC 9112, section 9.3).

    Args:
        version: "HTTP/1.1".
        options: The Connection header.
    """
    return version != "HTTP/1.1" or "close" in map(str.strip, options.lower().split(","))


def rest_of_body(stream: httpcore.NetworkStream, size: int, timeout: float | None) -> Iterator[bytes]:
    """Yield the next bytes of a connection as they come; nothing else may be done with it afterwards.

    TLS makes a piece of every 16 KiB: several are joined, since each is a system call or more for the reader.

    Args:
        stream: The connection, everything before the bytes read.
        size: How many to read.
        timeout: Seconds to wait for each piece.

    Raises:
        httpcore.ReadTimeout, httpcore.ReadError: As httpcore does.
        httpcore.RemoteProtocolError: The connection ended before.
    """
    least = _JOINED if stream.get_extra_info("ssl_object") is not None else 0
    while size:
        pieces, length = list[bytes](), 0
        try:
            while not pieces or length < min(least, size):
                pieces.append(_next_piece(stream, size - length, timeout))
                length += len(pieces[-1])
        except Exception:
            if pieces:
                yield b"".join(pieces)
            raise
        size -= length
        yield pieces[0] if len(pieces) == 1 else b"".join(pieces)


def relay_rest(stream: httpcore.NetworkStream, size: int, sink: socket.socket, timeout: float | None) -> None:
    """Send the next bytes of a connection to another socket as they come; otherwise as `rest_of_body`.

    Plain connections are spliced: the kernel hands their pages on. What TLS brings is decrypted into one
    buffer.

    Args:
        stream: as there.
        size: as there.
        sink: what is written to, in blocking mode: a socket with a time limit of Python's is woken late, when
            three quarters of its buffer are empty.
        timeout: as there, of the stream alone.

    Raises:
        OSError: the sink failed.
    """
    source = stream.raw_socket if isinstance(stream, LimitedStream) else None
    if isinstance(stream, LimitedStream) and isinstance(source, ssl.SSLSocket):
        _relay_records(stream, source, size, sink, timeout)
        return
    if isinstance(stream, LimitedStream) and source is not None:
        size -= _splice(stream, source, size, sink, timeout)
    for piece in rest_of_body(stream, size, timeout):
        sink.sendall(piece)


def _next_piece(stream: httpcore.NetworkStream, left: int, timeout: float | None) -> bytes:
    if not isinstance(stream, LimitedStream) or stream.raw_socket is None:
        piece = stream.read(_READ, timeout)[:left]
    elif isinstance(stream.raw_socket, ssl.SSLSocket):
        with _read_errors():
            stream.raw_socket.settimeout(stream.seconds(timeout))
            piece = stream.raw_socket.recv(min(left, RECORD))
    else:
        piece = _gathered(stream, stream.raw_socket, min(left, _READ), timeout)
    if not piece:
        raise _ended(left)
    return piece


def _gathered(stream: LimitedStream, source: socket.socket, most: int, timeout: float | None) -> bytes:
    """Return as much as asked for, or less where that is long in coming.

    The kernel puts the piece together. With a time limit of Python's each arrival wakes a thread, which then
    waits for the interpreter; and what is shorter than it was asked for costs the C library a mapping.
    """
    begun = time.monotonic()
    with _read_errors():
        source.settimeout(None)
        while True:
            seconds = stream.seconds(timeout)
            waits = _GATHERING if seconds is None else min(seconds, _GATHERING)
            source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(waits))
            with contextlib.suppress(BlockingIOError):
                return source.recv(most, socket.MSG_WAITALL)
            if seconds is not None and time.monotonic() - begun >= seconds:
                raise httpcore.ReadTimeout("nothing came in time")


def _timeval(seconds: float) -> bytes:
    """Return a time as the kernel takes it; zero would be for ever."""
    return struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1e6)))


def _ended(left: int) -> httpcore.RemoteProtocolError:
    return httpcore.RemoteProtocolError(f"it was closed {left} bytes before the end")


def _relay_records(
    stream: LimitedStream, source: ssl.SSLSocket, size: int, sink: socket.socket, timeout: float | None
) -> None:
    buffer = memoryview(bytearray(_JOINED))
    while size:
        wanted, filled = min(size, _JOINED), 0
        with _read_errors():
            source.settimeout(stream.seconds(timeout))
            while filled < wanted:
                count = source.recv_into(buffer[filled:], min(wanted - filled, RECORD))
                if not count:
                    raise _ended(size - filled)
                filled += count
        sink.sendall(buffer[:filled])
        size -= filled


def _splice(
    stream: LimitedStream, source: socket.socket, size: int, sink: socket.socket, timeout: float | None
) -> int:
    """Splice as much as the kernel can; return how much it was: all, or nothing."""
    with contextlib.ExitStack() as scope:
        taken, given = os.pipe2(os.O_CLOEXEC)
        scope.callback(os.close, taken)
        scope.callback(os.close, given)
        with contextlib.suppress(OSError):  # its user has many pipes: smaller ones are slower
            fcntl.fcntl(given, fcntl.F_SETPIPE_SZ, _PIPE)
        left = size
        while left:
            try:
                count = _taken(stream, source, given, min(left, _PIPE), timeout)
            except OSError as error:
                if left == size and error.errno in _NOT_SPLICED:
                    return 0
                raise httpcore.ReadError(error) from error
            if not count:
                raise _ended(left)
            left -= count
            while count:
                count -= os.splice(taken, sink.fileno(), count)
    return size


def _taken(stream: LimitedStream, source: socket.socket, pipe: int, most: int, timeout: float | None) -> int:
    """Splice what has come of a connection into a pipe, once something has; return how much.

    Raises:
        httpcore.ReadTimeout: Nothing came in time.
        OSError: The connection broke, or cannot be spliced.
    """
    while True:
        seconds = stream.seconds(timeout)
        with contextlib.suppress(BlockingIOError):
            return os.splice(source.fileno(), pipe, most, flags=os.SPLICE_F_NONBLOCK)
        poll = select.poll()
        poll.register(source, select.POLLIN)
        if not poll.poll(None if seconds is None else seconds * 1000):
            raise httpcore.ReadTimeout("nothing came in time")


@contextlib.contextmanager
def _read_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ReadTimeout(error) from error
    except OSError as error:
        raise httpcore.ReadError(error) from error
