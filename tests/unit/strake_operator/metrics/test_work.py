import asyncio

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from strake_operator.errors import ClusterError, ConflictError
from strake_operator.metrics.work import WorkMetrics


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (ConflictError("409"), "conflict"),
        (ClusterError("503"), "error"),
        (KeyError(), "internal"),
    ],
)
def test_reconciles_count_by_result_and_go_on_as_they_would(registry, error, result):
    async def reconcile(key):
        if error is not None:
            raise error
        return 3.0

    counted = WorkMetrics(registry).counted(reconcile)
    if error is None:
        assert asyncio.run(counted("key")) == 3.0
    else:
        with pytest.raises(type(error)):
            asyncio.run(counted("key"))
    assert registry.get_sample_value("strake_reconciles_total", {"result": result}) == 1
    assert registry.get_sample_value("strake_reconcile_seconds_count") == 1


def test_the_queues_depth_is_what_the_queue_says_now(registry):
    depth = [2]
    WorkMetrics(registry).queue_depth(lambda: depth[0])
    depth[0] = 5
    assert registry.get_sample_value("strake_reconcile_queue") == 5


def test_requests_count_by_verb_and_code(registry):
    work = WorkMetrics(registry)

    async def there(_):
        return web.Response()

    async def ask():
        application = web.Application()
        application.add_routes([web.get("/there", there)])
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession(trace_configs=[work.requests()]) as session:
            for path in ("/there", "/there", "/missing"):
                await session.get(base + path)
            await runner.cleanup()
            with pytest.raises(aiohttp.ClientError):
                await session.get(base)

    asyncio.run(ask())
    counts = {
        code: registry.get_sample_value("strake_api_requests_total", {"verb": "GET", "code": code})
        for code in ("200", "404", "none")
    }
    assert counts == {"200": 2, "404": 1, "none": 1}
