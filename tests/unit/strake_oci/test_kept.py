"""Connections after a long body: the next request goes over the same one, unless that could mislead it."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.errors import ErrorContext, RegistryError
from strake_oci.http.bodies import DIRECT
from strake_oci.http.endpoint import Endpoint, TLSSettings, TransportSettings
from strake_oci.http.kept import IDLE_SECONDS, KeptConnections
from strake_oci.http.network import LimitedBackend
from strake_oci.http.transport import Request, Transport
from tests.fixtures.servers.certificates import make_certificates

BODY = os.urandom(DIRECT + 12_345)
CONTEXT = ErrorContext("registry.example", "a", "pulling")
PATIENCE = 60.0


def answer(body: bytes = BODY, *, version: str = "1.1", more: str = "") -> bytes:
    return f"HTTP/{version} 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


@dataclass
class Server:
    """Answers every request with the same bytes.

    Attributes:
        url: Its own.
        sends: The answer.
        wrap: Makes a connection secure.
        connections: What was asked over each.
    """

    url: str
    sends: bytes
    wrap: Callable[[socket.socket], socket.socket]
    connections: list[list[str]] = field(default_factory=list)
    ends_after: int = 1000

    def serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                threading.Thread(target=self._answer, args=(accepted,), daemon=True).start()

    def _answer(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), self.wrap(accepted) as connection:
            asked: list[str] = []
            self.connections.append(asked)
            with connection.makefile("rb") as lines:
                while len(asked) < self.ends_after and (line := lines.readline()):
                    asked.append(line.decode().split()[1])
                    while lines.readline().strip():
                        pass
                    connection.sendall(self.sends)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["plain", "TLS", "unix"])
def server(request, certificates, tmp_path) -> Iterator[tuple[Server, Endpoint]]:
    path, tls = tmp_path / "a.socket", TLSSettings()
    with socket.socket(socket.AF_UNIX if request.param == "unix" else socket.AF_INET) as listener:
        listener.bind(str(path) if request.param == "unix" else ("127.0.0.1", 0))
        listener.listen()
        host = "localhost" if request.param == "unix" else f"localhost:{listener.getsockname()[1]}"
        running = Server(f"http://{host}", answer(), lambda accepted: accepted)
        if request.param == "TLS":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.server, certificates.server_key)
            running.wrap = lambda accepted: context.wrap_socket(accepted, server_side=True)
            running.url, tls = f"https://{host}", TLSSettings(ca_files=(certificates.ca,))
        threading.Thread(target=running.serve, args=(listener,), daemon=True).start()
        socket_file = path if request.param == "unix" else None
        yield running, Endpoint("registry.example", running.url, tls, socket_file)
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def transport(cancellation: Cancellation | None = None) -> Iterator[Transport]:
    with contextlib.closing(Transport(TransportSettings(trust_env=False), cancellation)) as made:
        yield made


def pulled(made: Transport, endpoint: Endpoint, path: str) -> bytes:
    with made.send(endpoint, Request("GET", endpoint.base + path), CONTEXT) as got:
        return b"".join(got.stream())


def relayed(made: Transport, endpoint: Endpoint, path: str) -> bytes:
    sink, other = socket.socketpair()
    body = bytearray()

    def drain() -> None:
        while piece := other.recv(1 << 20):
            body.extend(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        with other, sink, made.send(endpoint, Request("GET", endpoint.base + path), CONTEXT) as got:
            got.relay(sink)
            sink.shutdown(socket.SHUT_WR)
            thread.join(PATIENCE)
    finally:
        thread.join(PATIENCE)
    return bytes(body)


ways = pytest.mark.parametrize("take", [pulled, relayed])


@ways
def test_requests_follow_each_other_over_one_connection(server, take):
    running, endpoint = server
    with transport() as made:
        assert [take(made, endpoint, path) for path in ("/1", "/2", "/3")] == [BODY] * 3
    assert running.connections == [["/1", "/2", "/3"]]


def test_a_body_that_was_not_read_to_its_end_ends_its_connection(server):
    running, endpoint = server
    with transport() as made:
        with made.send(endpoint, Request("GET", endpoint.base + "/1"), CONTEXT) as got:
            next(got.stream())
        assert pulled(made, endpoint, "/2") == BODY
    assert running.connections == [["/1"], ["/2"]]


@ways
def test_what_follows_a_body_unasked_is_no_answer(server, take):
    """A server, or who can write into its body, could answer the next request before it is made."""
    running, endpoint = server
    running.sends = answer() + answer(b"false")
    with transport() as made:
        assert [take(made, endpoint, path) for path in ("/1", "/2")] == [BODY] * 2
    assert running.connections == [["/1"], ["/2"]]


@pytest.mark.parametrize(
    "sends", [answer(more="Connection: foo, Close\r\n"), answer(version="1.0")], ids=["close", "HTTP/1.0"]
)
def test_a_server_that_lets_nothing_follow_is_obeyed(server, sends):
    running, endpoint = server
    running.sends = sends
    with transport() as made:
        assert [pulled(made, endpoint, path) for path in ("/1", "/2")] == [BODY] * 2
    assert running.connections == [["/1"], ["/2"]]


def test_a_connection_that_its_server_closed_is_not_used_again(server):
    running, endpoint = server
    running.ends_after = 1
    with transport() as made:
        for path in ("/1", "/2"):
            assert pulled(made, endpoint, path) == BODY
            _await_end(made)
    assert running.connections == [["/1"], ["/2"]]


def _await_end(made: Transport) -> None:
    """Wait until the server's end of the connection that is kept has arrived."""
    (kept,) = made._kept
    ((_since, _server, stream),) = kept._idle
    assert stream.raw_socket is not None
    stream.raw_socket.settimeout(PATIENCE)
    assert stream.raw_socket.recv(1) == b""


def test_a_cancellation_ends_what_is_kept(server):
    running, endpoint = server
    cancellation = Cancellation()
    with transport(cancellation) as made:
        pulled(made, endpoint, "/1")
        cancellation.cancel(RuntimeError("a test"))
        with pytest.raises(RegistryError, match="stopped"):
            pulled(made, endpoint, "/2")
    assert running.connections == [["/1"]]


def test_no_descriptor_stays(server):
    running, endpoint = server
    with transport() as made:
        pulled(made, endpoint, "/1")
        (kept,) = made._kept
        ((_since, _server, stream),) = kept._idle
    assert stream.raw_socket is not None
    assert stream.raw_socket.fileno() == -1
    assert running.connections == [["/1"]]


class TestKeptConnections:
    @pytest.fixture
    def listener(self):
        with socket.create_server(("127.0.0.1", 0)) as made:
            yield made

    @pytest.fixture
    def now(self):
        return [100.0]

    @pytest.fixture
    def kept(self, now):
        with contextlib.closing(KeptConnections(lambda: now[0])) as made:
            yield made

    @pytest.fixture
    def connect(self, kept, listener):
        backend = LimitedBackend(Cancellation(), kept=kept)
        return lambda: backend.connect_tcp(*listener.getsockname(), PATIENCE)

    def test_an_old_one_is_closed(self, connect, listener, now):
        first = connect()
        accepted, _ = listener.accept()
        first.keep()
        first.close()
        now[0] += IDLE_SECONDS + 1
        connect().close()
        with accepted:
            accepted.settimeout(PATIENCE)
            assert accepted.recv(1) == b""

    def test_who_had_it_before_can_neither_close_it_nor_give_it_away_again(self, connect, listener):
        first = connect()
        accepted, _ = listener.accept()
        first.keep()
        first.close()
        again = connect()
        first.close()
        another = connect()
        for stream, words in ((again, b"question"), (another, b"another")):
            stream.write(words, PATIENCE)
            stream.close()
        with accepted:
            assert accepted.recv(100) == b"question"

    def test_another_server_has_its_own(self, connect, listener, kept):
        first = connect()
        first.keep()
        first.close()
        assert kept.take(("127.0.0.2", listener.getsockname()[1])) is None

    def test_nothing_is_kept_after_the_end(self, connect, listener, kept):
        first = connect()
        accepted, _ = listener.accept()
        first.keep()
        kept.close()
        first.close()
        with accepted:
            accepted.settimeout(PATIENCE)
            assert accepted.recv(1) == b""
