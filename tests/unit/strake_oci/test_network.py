"""Connections: every address of a host is tried, and one that fails leaves no descriptor open."""

from __future__ import annotations

import os
import socket
import ssl

import httpcore
import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.http.denied_networks import DeniedNetworks
from strake_oci.http.network import AddressRefusedError, LimitedBackend
from tests.fixtures.servers.registry import free_port
from tests.fixtures.servers.silence import deaf_port


@pytest.fixture
def backend():
    return LimitedBackend(Cancellation())


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture(autouse=True)
def no_descriptor_stays():
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the listener's


def found(*addresses):
    return lambda *_args, **_options: [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in addresses
    ]


def test_the_next_address_is_tried(backend, listener, monkeypatch):
    closed = ("127.0.0.1", free_port())
    monkeypatch.setattr(socket, "getaddrinfo", found(closed, listener.getsockname()))
    stream = backend.connect_tcp("registry.example", 443, 5.0)
    there, _ = listener.accept()
    stream.write(b"question", 5.0)
    assert there.recv(100) == b"question"
    stream.close()
    assert there.recv(100) == b""
    there.close()


def test_nobody_listens(backend):
    for _ in range(20):
        with pytest.raises(httpcore.ConnectError, match="refused"):
            backend.connect_tcp("127.0.0.1", free_port(), 5.0)


def test_nobody_answers(backend):
    with deaf_port() as host, pytest.raises(httpcore.ConnectTimeout):
        backend.connect_tcp("127.0.0.1", int(host.rpartition(":")[2]), 0.05)


def test_a_host_without_addresses(backend, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", found())
    with pytest.raises(httpcore.ConnectError, match="no address"):
        backend.connect_tcp("registry.example", 443, 5.0)


def test_a_name_that_is_none(backend):
    for name in ("registry.invalid", "a" * 300, "\0"):
        with pytest.raises(httpcore.ConnectError):
            backend.connect_tcp(name, 443, 180.0)  # a resolver may ask more than once


def test_tls_that_is_refused(backend, listener):
    stream = backend.connect_tcp(*listener.getsockname(), 5.0)
    there, _ = listener.accept()
    there.sendall(b"no TLS here, thanks")
    with pytest.raises(httpcore.ConnectError):
        stream.start_tls(ssl.create_default_context(), "localhost", 5.0)
    there.close()


def test_a_socket_file_that_is_not_there(backend, tmp_path):
    with pytest.raises(httpcore.ConnectError):
        backend.connect_unix_socket(str(tmp_path / "none"), 5.0)


def test_a_descriptor_too_few(backend, listener, monkeypatch):
    """What there is of a connection is closed when there is no room for the rest of it."""

    def full(_self):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket.socket, "dup", full)
    with pytest.raises(httpcore.ConnectError, match="Too many"):
        backend.connect_tcp(*listener.getsockname(), 5.0)


class TestDeniedNetworks:
    @pytest.fixture
    def backend(self, listener):
        return LimitedBackend(Cancellation(), DeniedNetworks.parse(["127.0.0.0/8"], ["127.0.0.1"]))

    def test_a_denied_address_is_passed_over(self, backend, listener, monkeypatch):
        port = listener.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", found(("127.0.0.2", port), ("127.0.0.1", port)))
        stream = backend.connect_tcp("registry.example", port, 5.0)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        stream.close()

    def test_the_refusal_tells_name_address_and_network(self, backend, monkeypatch):
        monkeypatch.setattr(socket, "getaddrinfo", found(("127.0.0.2", 443)))
        with pytest.raises(AddressRefusedError) as caught:
            backend.connect_tcp("registry.example", 443, 5.0)
        assert "registry.example resolves to 127.0.0.2, in 127.0.0.0/8" in str(caught.value)

    def test_a_name_is_asked_for_once(self, backend, monkeypatch):
        """A resolver that answers otherwise the second time (DNS rebinding) is not asked a second time."""
        answers = [[("127.0.0.2", 443)], [("127.0.0.1", 443)]]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found(*answers.pop(0))())
        with pytest.raises(AddressRefusedError):
            backend.connect_tcp("registry.example", 443, 5.0)
        assert len(answers) == 1

    @pytest.mark.parametrize("host", ["2130706434", "0x7f000002", "0177.0.0.2", "127.2", "localhost"])
    def test_other_notations(self, listener, host):
        backend = LimitedBackend(Cancellation(), DeniedNetworks.parse(["127.0.0.0/8", "::1"]))
        with pytest.raises(AddressRefusedError):
            backend.connect_tcp(host, listener.getsockname()[1], 5.0)
