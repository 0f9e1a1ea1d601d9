"""A builder's log over HTTP: connections have a time limit, and none of them is the last."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from kubernetes.aio import client

from strake_operator.handlers import follower as module
from strake_operator.handlers.follower import Follower
from strake_operator.kube.cluster import Cluster
from strake_operator.kube.watched import Watched
from tests.fixtures.narrow import instance

LOG = (
    "2026-01-02T00:00:00.000000001Z == steps: 3\n",
    "2026-01-02T00:00:01.000000000Z #1/3 [0] RUN one\n",
    "2026-01-02T00:00:02.000000000Z #2/3 [0] RUN two  CACHED\n",
    "2026-01-02T00:00:03.000000000Z #3/3 [0] RUN three\n",
)


def test_progress_goes_on_after_the_time_limit_of_a_connection(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    queries, ended = [], asyncio.Event()

    async def log(request):
        """Send the beginning of the log, a line more over each connection, and then wait."""
        queries.append(dict(request.query))
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write("".join(LOG[: 1 + len(queries)]).encode())
        await ended.wait()
        return response

    async def test():
        application = web.Application()
        application.router.add_get("/api/v1/namespaces/team/pods/pod-1/log", log)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = instance(site._server, asyncio.Server).sockets[0].getsockname()
        shown: asyncio.Queue[Any] = asyncio.Queue()
        async with client.ApiClient(client.Configuration(host=f"http://{host}:{port}")) as api:
            follower = Follower(Cluster(api, Watched(), log_seconds=0.3).log_lines)
            follower.follow("team", "pod-1", lambda: shown.put_nowait(follower.progress("team", "pod-1")))
            async with asyncio.timeout(20):
                seen = [await shown.get() for _ in LOG]
            await follower.close()
        ended.set()
        await runner.cleanup()
        return seen

    seen = asyncio.run(test())
    assert [each.step for each in seen] == ["", "[1/3] RUN one", "[2/3] RUN two", "[3/3] RUN three"]
    assert (seen[-1].done, seen[-1].cached) == (1, 1)
    assert len(queries) >= 3
    assert queries[0]["follow"].lower() == queries[0]["timestamps"].lower() == "true"
