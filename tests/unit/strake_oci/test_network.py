"""Connections: every address of a host is tried, and one that fails leaves no descriptor open."""

from __future__ import annotations

import os
import socket
import ssl

import httpcore
import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.http.network import LimitedBackend
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
            backend.connect_tcp(name, 443, 5.0)


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
