"""Bodies of large answers, past httpcore and, on their way to another socket, past Python.

h11 copies every byte three times on its way, and takes some 30 µs for each piece. For a blob that is a third
of the time (benchmarks/oci_results.md), so the rest of a long body is taken from the connection itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import ssl
from typing import TYPE_CHECKING, Final

import httpcore

from strake_oci.http.network import RECORD, LimitedStream

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

DIRECT: Final = 16 * 1024 * 1024
"""Bytes from which an answer's body is read past httpcore, for the price of its connection."""
_READ: Final = 1024 * 1024
_JOINED: Final = 256 * 1024
_PIPE: Final = 1024 * 1024
"""Bytes: the most that an ordinary user's pipe holds (fs.pipe-max-size)."""
_NOT_SPLICED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM})
"""How kernels and sandboxes tell that these two sockets cannot be spliced."""


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
    piece = stream.read(_READ, timeout)[:left]
    if not piece:
        raise _ended(left)
    return piece


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
