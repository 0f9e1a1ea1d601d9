"""Lines of a log: however they come, each is taken as it was written or not at all."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import warnings
from types import AsyncGeneratorType

import pytest
from kubernetes.aio import client

from strake_operator.kube.cluster import Cluster
from strake_operator.kube.streams import whole_lines
from strake_operator.kube.watched import Watched
from tests.fixtures.narrow import instance

MIB = b"x" * (1 << 20)


def read(*chunks):
    async def stream():
        for chunk in chunks:
            yield chunk

    async def all_of():
        return [line async for line in whole_lines(stream())]

    return asyncio.run(all_of())


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc", b"\n"], [b"ab", b"c"]),
        ([b"a\n", b"not ended"], [b"a"]),
        ([b"\n\n"], [b"", b""]),
        # The rest of a line is no line, whatever it looks like.
        ([b"a\n", MIB + b"xx", b"== steps: 9\n", b"b\n"], [b"a", b"b"]),
        ([MIB + b"xx", MIB + b"xx", b"== steps: 9\nb\n"], [b"b"]),
        ([MIB + b"xx", b"\n== steps: 1\n"], [b"== steps: 1"]),
    ],
)
def test_lines_are_whole(chunks, lines):
    assert read(*chunks) == lines


def test_a_flood_leaves_other_tasks_their_turn():
    """A step may write as fast as it can: the operator goes on with everybody's builds."""

    async def flood():
        for _ in range(100):
            yield b"#1 | y\n" * 1000

    async def test():
        read_so_far, others = 0, []

        async def other():
            while read_so_far < 100_000:
                others.append(read_so_far)
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        async for _ in whole_lines(flood()):
            read_so_far += 1
        await beside
        assert len(set(others)) > 90

    asyncio.run(test())


@pytest.fixture
def endless_log(certificates):
    """The port of an API server with TLS, which sends one line of a log and never ends it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server, certificates.server_key)
    ended = threading.Event()

    def serve(listener):
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(1 << 16)
            stream.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nline\n\r\n")
            ended.wait()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        thread.join()


def test_a_log_that_is_read_no_more_leaves_no_connection(endless_log, certificates):
    async def test():
        configuration = client.Configuration(host=f"https://127.0.0.1:{endless_log}")
        configuration.ssl_ca_cert = str(certificates.ca)
        async with client.ApiClient(configuration) as api:
            lines = instance(Cluster(api, Watched()).log_lines("team", "pod-1"), AsyncGeneratorType)
            assert await anext(lines) == b"line"
            await lines.aclose()

    gc.collect()  # what other tests have left is not looked at
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(test())
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
