import asyncio
import socket

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from strake_operator.errors import SettingsError
from strake_operator.metrics.server import alive, serving


async def answers(ready, path):
    registry = CollectorRegistry()
    Counter("strake_example", "An example.", registry=registry).inc()
    async with (
        serving(("127.0.0.1", 0), registry, lambda: None if ready else "not yet") as port,
        aiohttp.ClientSession() as session,
    ):
        answer = await session.get(f"http://127.0.0.1:{port}{path}")
        return answer.status, await answer.text()


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
def test_ready_when_the_operator_works(ready, status):
    assert asyncio.run(answers(ready, "/readyz"))[0] == status


def test_metrics_are_in_the_format_of_prometheus():
    status, text = asyncio.run(answers(False, "/metrics"))
    assert status == 200
    assert "# HELP strake_example_total An example.\n" in text
    assert "\nstrake_example_total 1.0\n" in text


def test_an_address_that_is_taken_is_told():
    async def serve(port):
        async with serving(("127.0.0.1", port), CollectorRegistry(), lambda: None):
            raise AssertionError("it listens")

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(SettingsError, match=r"STRAKE_METRICS: cannot listen at 127.0.0.1:\d+: "),
    ):
        asyncio.run(serve(taken.getsockname()[1]))


@pytest.mark.parametrize("path", ["/healthz", "/alive"])
def test_it_is_alive_where_it_is_asked(path):
    async def asked():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with alive(f"http://127.0.0.1:{port}{path}"), aiohttp.ClientSession() as session:
            answers = [await session.get(f"http://127.0.0.1:{port}{each}") for each in (path, "/other")]
            return [answer.status for answer in answers]

    assert asyncio.run(asked()) == [200, 404]
