"""HTTP/1.1 on a unix socket: reads requests, streams bodies both ways, logs one line a request.

The standard library's request handler parses; what is here is framing. The peer may be a hostile step: lines,
headers, connections and silence are bounded, and whatever it sends ends its own connection at most.
"""

from __future__ import annotations

import os
import re
import socket
import socketserver
import stat
import struct
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Final, cast

from strake_builder.gateway.errors import JSON_TYPE, GatewayError, MalformedError
from strake_builder.gateway.forward import Forwarder
from strake_builder.gateway.policy import Asked, parse_target
from strake_builder.gateway.replies import Reply
from strake_oci.http.network import UNIX_BUFFER

_PIECE: Final = 124 * 1024
"""As `strake_oci.http.network` reads a unix socket: for more, memory is mapped and unmapped each time."""
_UPLOADED: Final = 512 * 1024
"""Bytes of a request's body that are sent on at a time: each piece costs some 20 µs on its way through httpx
and h11. So much is in memory for each connection, which a hostile step can have many of.
"""
_MOST_CONNECTIONS: Final = 64
_SILENCE: Final = struct.pack("@ll", 300, 0)
"""Seconds, as the kernel's `timeval`: a registry that commits a large upload is silent for long, and so is
the executor meanwhile.
"""
_LONGEST_SIZE: Final = 18
_CHUNK_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,15}")
_BODILESS: Final = frozenset({204, 304})
_SHOWN: Final = 100


class Gateway(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves a build until it is shut down.

    Args:
        path: of the socket, which everybody in the pod may connect to who can see it.
        forwarder: speaks to registries.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, path: str, forwarder: Forwarder) -> None:
        self.forwarder = forwarder
        self._slots = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        _remove_socket(path)
        super().__init__(path, _Handler)
        os.chmod(path, 0o666)

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Serve a connection; those that are too many wait for one to end."""
        with self._slots:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type] # typeshed: of any family

    def handle_error(self, *_: object) -> None:
        """A connection broke: its maker knows, and the next one is not affected."""
        _log(f"a connection ended: {type(sys.exc_info()[1]).__name__}")


def _remove_socket(path: str) -> None:
    """Remove what a gateway that was killed left behind."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return
    if is_socket:
        os.unlink(path)


def _log(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = False
    """A unix socket has none."""

    def setup(self) -> None:
        """Prepare the connection."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNIX_BUFFER)
        # The kernel's own time limits: a socket with one of Python's is told to go on only when three
        # quarters of its buffer are empty, which costs a blob a tenth of its time.
        for limit in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.request.setsockopt(socket.SOL_SOCKET, limit, _SILENCE)
        super().setup()

    def _serve(self) -> None:
        started, sent = time.monotonic(), 0
        shown, status = "", 0
        self._unread: Iterator[bytes] = iter(())
        try:
            asked = parse_target(self.command, self.path)
            shown = f"{asked.repository} {asked.kind.value}/{_short(asked)}"
            self._unread = body = self._body()
            gateway = cast("Gateway", self.server)
            with gateway.forwarder.forward(asked, dict(self.headers.items()), body) as reply:
                status = reply.status
                sent = self._answer(reply)
        except GatewayError as error:
            status = error.status
            sent = self._answer(_own_reply(error, is_head=self.command == "HEAD"))
        finally:
            took = (time.monotonic() - started) * 1000
            _log(f"{self.command[:10]} {shown or 'nothing'} {status} {sent} B {took:.0f} ms")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the base's names

    def _body(self) -> Iterator[bytes]:
        """Return the request's body, in pieces, however it is framed.

        Two lengths, or a length of what is sent in chunks, are refused: who reads on may take the other
        (RFC 9112, section 6.3).
        """
        encodings = self.headers.get_all("Transfer-Encoding", [])
        lengths = self.headers.get_all("Content-Length", [])
        if [each.strip().lower() for each in encodings] == ["chunked"] and not lengths:
            return self._chunks()
        length = lengths[0].strip() if lengths else "0"
        if (
            encodings
            or len(lengths) > 1
            or not (length.isascii() and length.isdigit() and len(length) <= _LONGEST_SIZE)
        ):
            self.close_connection = True
            raise MalformedError("the body is framed in a way that is not known")
        return self._exactly(int(length))

    def _exactly(self, left: int) -> Iterator[bytes]:
        is_first = True
        while left:
            # What has been read ahead comes first; all else is put together by the kernel.
            piece = self.rfile.read1(min(left, _PIECE)) if is_first else self._gathered(min(left, _UPLOADED))
            is_first = False
            if not piece:
                self.close_connection = True
                raise MalformedError("the body ended early")
            left -= len(piece)
            yield piece

    def _gathered(self, most: int) -> bytes:
        try:
            return bytes(self.request.recv(most, socket.MSG_WAITALL))
        except BlockingIOError:  # silence
            return b""

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._exactly(size)
            self._expect(b"")
        for _ in range(_SHOWN):  # trailers
            if not self.rfile.readline(_SHOWN).strip():
                return
        self.close_connection = True

    def _chunk_size(self) -> int:
        size = self.rfile.readline(_SHOWN).partition(b";")[0].strip()
        if not _CHUNK_SIZE.fullmatch(size):
            self.close_connection = True
            raise MalformedError("a chunk has no size")
        return int(size, 16)

    def _expect(self, line: bytes) -> None:
        if self.rfile.readline(_SHOWN).strip() != line:
            self.close_connection = True
            raise MalformedError("a chunk is longer than its size")

    def _answer(self, reply: Reply) -> int:
        """Send an answer; return the bytes of its body."""
        if next(self._unread, None) is not None:
            self.close_connection = True  # the rest of the request would be read as the next one
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        is_bodiless = self.command == "HEAD" or reply.status in _BODILESS
        is_chunked = not is_bodiless and "Content-Length" not in reply.headers
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        return 0 if is_bodiless else self._send(reply, chunked=is_chunked)

    def _send(self, reply: Reply, *, chunked: bool) -> int:
        sent = 0
        try:
            if reply.relay is not None:
                return reply.relay(self.request)
            for piece in filter(None, reply.body):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
                sent += len(piece)
        except GatewayError:
            self.close_connection = True  # the executor sees that the body ends early
            return sent
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        return sent

    def log_message(self, *_: object) -> None:
        """Log nothing but what `_serve` does: a request's line has queries."""


def _own_reply(error: GatewayError, *, is_head: bool) -> Reply:
    body = error.body()
    headers = {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}
    return Reply(error.status, headers, () if is_head else (body,))


def _short(asked: Asked) -> str:
    """Return a name fit for a line of a log: of an upload session the beginning."""
    return asked.name[:_SHOWN] if asked.kind.value != "uploads" else asked.name[:8]
