"""Bodies of requests on the gateway's socket: what is sent on is what came, however it came."""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import cast

import pytest

from strake_builder.gateway import server
from strake_builder.gateway.forward import Forwarder
from strake_builder.gateway.policy import Asked
from strake_builder.gateway.replies import Replied, Reply

BODY = os.urandom(3_000_001)
HEAD = b"PUT /registry.example/v2/team/app/blobs/uploads/x HTTP/1.1\r\nHost: gateway\r\n"
PATIENCE = 60.0


class Registry:
    """Takes what is sent on.

    Attributes:
        bodies: Of each request.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def forward(
        self, _asked: Asked, _headers: Mapping[str, str], body: Iterable[bytes]
    ) -> AbstractContextManager[Reply]:
        self.bodies.append(b"".join(body))
        return Replied(Reply(201, {"Content-Length": "0"}))


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def connection(registry, tmp_path) -> Iterator[socket.socket]:
    path = str(tmp_path / "gateway.socket")
    with server.Gateway(path, cast("Forwarder", registry)) as gateway:
        serving = threading.Thread(target=gateway.serve_forever, args=(0.01,))
        serving.start()
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.settimeout(PATIENCE)
                made.connect(path)
                yield made
        finally:
            gateway.shutdown()
            serving.join(PATIENCE)


def with_length(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def in_chunks(body: bytes) -> bytes:
    lengths, sent, frames = random.Random(7), 0, bytearray(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while piece := body[sent : sent + lengths.choice([1, 1000, 70_000, 900_000])]:
        frames += b"%x\r\n%s\r\n" % (len(piece), piece)
        sent += len(piece)
    return bytes(frames) + b"0\r\n\r\n"


@pytest.mark.parametrize("framed", [with_length, in_chunks])
@pytest.mark.parametrize("size", [1, 8_192, 126_976, 524_288, len(BODY)])
def test_bodies_follow_each_other_whole(connection, registry, framed, size):
    bodies = [BODY[:size], BODY[1 : size + 1]]
    sender = threading.Thread(target=connection.sendall, args=(b"".join(map(framed, bodies)),))
    sender.start()
    answers = connection.makefile("rb")
    for _ in bodies:
        assert answers.readline().split()[1] == b"201"
        while answers.readline().strip():
            pass
    sender.join(PATIENCE)
    assert registry.bodies == bodies


@pytest.mark.parametrize("sent", [0, 1, 200_000, len(BODY) - 10])
@pytest.mark.parametrize("framed", [with_length, in_chunks])
def test_a_body_that_ends_early_is_refused(connection, registry, framed, sent):
    whole = framed(BODY)
    connection.sendall(whole[: len(whole) - len(BODY) + sent])
    connection.shutdown(socket.SHUT_WR)
    answer = connection.makefile("rb").read()
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert registry.bodies == []


@pytest.fixture
def short_silence(monkeypatch):
    monkeypatch.setattr(server, "_SILENCE", struct.pack("@ll", 0, 50_000))


def test_a_peer_that_falls_silent_is_refused(short_silence, connection, registry):  # in this order
    connection.sendall(with_length(BODY)[:300_000])
    answer = connection.makefile("rb").read()
    assert b"ended early" in answer
    assert registry.bodies == []
