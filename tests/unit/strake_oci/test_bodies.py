"""The rest of a long body, taken from a connection or handed on to another socket: whole, or an error."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpcore
import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.http.bodies import relay_rest, rest_of_body
from strake_oci.http.network import LimitedBackend, LimitedStream
from tests.fixtures.servers.certificates import Certificates, make_certificates

DATA = random.Random(3).randbytes(3_000_001)
PATIENCE = 60.0
Sends = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@dataclass(frozen=True)
class Connections:
    """Connects to servers that send what they are told to, and then end the connection."""

    tls: Certificates | None
    scope: contextlib.ExitStack
    cancellation: Cancellation

    def __call__(self, send: Sends) -> LimitedStream:
        stream = _serve(self.scope, self.cancellation, send, self.tls)
        return self.scope.enter_context(contextlib.closing(stream))


@pytest.fixture(params=["plain", "TLS"])
def connected(request, certificates):
    with contextlib.ExitStack() as scope:
        yield Connections(certificates if request.param == "TLS" else None, scope, Cancellation())


def _serve(scope, cancellation, send: Sends, tls: Certificates | None) -> LimitedStream:
    listener = scope.enter_context(socket.create_server(("127.0.0.1", 0)))

    def serve() -> None:
        accepted, _ = listener.accept()
        with contextlib.ExitStack() as ends, contextlib.suppress(OSError):
            connection = ends.enter_context(accepted)
            if tls is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(tls.server, tls.server_key)
                connection = ends.enter_context(context.wrap_socket(connection, server_side=True))
            send(connection)

    server = threading.Thread(target=serve)
    server.start()
    scope.callback(server.join, PATIENCE)
    stream = LimitedBackend(cancellation).connect_tcp(*listener.getsockname(), PATIENCE)
    if tls is not None:
        trusting = ssl.create_default_context(cafile=str(tls.ca))
        stream = stream.start_tls(trusting, "localhost", PATIENCE)
    assert isinstance(stream, LimitedStream)
    return stream


@contextlib.contextmanager
def reader() -> Iterator[tuple[socket.socket, Callable[[], bytes]]]:
    """Yield a socket to write to, and what returns all that was written when that is closed."""
    sink, other = socket.socketpair()
    read = bytearray()

    def drain() -> None:
        while piece := other.recv(65536):
            read.extend(piece)

    thread = threading.Thread(target=drain)
    thread.start()

    def whole() -> bytes:
        sink.close()
        thread.join(PATIENCE)
        return bytes(read)

    with other:
        try:
            yield sink, whole
        finally:
            whole()


def relayed(stream: LimitedStream, size: int, timeout: float = PATIENCE) -> bytes:
    with reader() as (sink, whole):
        relay_rest(stream, size, sink, timeout)
        return whole()


def read(stream: LimitedStream, size: int, timeout: float = PATIENCE) -> bytes:
    return b"".join(rest_of_body(stream, size, timeout))


ways = pytest.mark.parametrize("take", [read, relayed])


@ways
@pytest.mark.parametrize("size", [1, 16_384, 262_144, 262_145, len(DATA)])
def test_a_body_is_whole_and_no_longer(connected, take, size):
    stream = connected(lambda connection: connection.sendall(DATA[:size]))
    assert take(stream, size) == DATA[:size]


@ways
def test_pieces_of_any_length_are_one_body(connected, take):
    lengths, rest = random.Random(5), DATA[:300_000]

    def send(connection: socket.socket) -> None:
        taken = 0
        while taken < len(rest):
            length = lengths.choice([1, 7, 1000, 40_000])
            connection.sendall(rest[taken : taken + length])
            taken += length

    assert take(connected(send), len(rest)) == rest


@ways
@pytest.mark.parametrize("sent", [0, 1, 700_000])
def test_a_connection_that_ends_early_is_an_error(connected, take, sent):
    stream = connected(lambda connection: connection.sendall(DATA[:sent]))
    with pytest.raises(httpcore.RemoteProtocolError, match="before the end"):
        take(stream, len(DATA))


@ways
def test_a_silent_connection_is_an_error(connected, take):
    ended = threading.Event()

    def send(connection: socket.socket) -> None:
        connection.sendall(DATA[:100_000])
        ended.wait(PATIENCE)

    stream = connected(send)
    with pytest.raises(httpcore.ReadTimeout):
        take(stream, len(DATA), 0.1)
    ended.set()


@ways
def test_a_cancellation_ends_the_wait(connected, take):
    ended = threading.Event()

    def send(connection: socket.socket) -> None:
        connection.sendall(DATA[:100_000])
        connected.cancellation.cancel("a test")
        ended.wait(PATIENCE)

    stream = connected(send)
    with pytest.raises((httpcore.NetworkError, httpcore.RemoteProtocolError)):
        take(stream, len(DATA))
    ended.set()


def test_a_sink_that_nobody_reads_is_its_own_error(connected):
    stream = connected(lambda connection: connection.sendall(DATA))
    sink, other = socket.socketpair()
    other.close()
    with sink, pytest.raises(BrokenPipeError):
        relay_rest(stream, len(DATA), sink, PATIENCE)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_where_nothing_can_be_spliced_the_body_is_copied(connected, monkeypatch, number):
    def refuse(*_args: object, **_options: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "splice", refuse)
    stream = connected(lambda connection: connection.sendall(DATA))
    assert relayed(stream, len(DATA)) == DATA


@ways
def test_no_descriptor_stays(connected, take):
    stream = connected(lambda connection: connection.sendall(DATA[:1000]))
    before = len(os.listdir("/proc/self/fd"))
    with contextlib.suppress(httpcore.RemoteProtocolError):
        take(stream, len(DATA))
    assert len(os.listdir("/proc/self/fd")) <= before  # the server closes its own
