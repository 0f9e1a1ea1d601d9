"""The scale tests' watches: of an API server whose caches are not filled yet, and of one that refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from tests.scale.api import Api, ApiError
from tests.scale.builds import Builds, Name

BUILD = (
    b'{"type": "ADDED", "object": {"metadata": {"namespace": "team", "name": "app"},'
    b' "status": {"phase": "Succeeded"}}}\n'
)


@contextlib.asynccontextmanager
async def served(answer: Callable[[web.BaseRequest], web.StreamResponse]) -> AsyncIterator[Api]:
    """Run an API server that answers every watch in one way."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return answer(request)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        [(host, port)] = runner.addresses
        async with Api(f"http://{host}:{port}", "token") as api:
            yield api
    finally:
        await runner.cleanup()


async def watched(answer: Callable[[web.BaseRequest], web.StreamResponse]) -> dict[Name, str]:
    """Wait for a build of such an API server's."""
    async with served(answer) as api:
        builds = Builds(api)
        async with builds.watched():
            await builds.wait([("team", "app")], seconds=200)
    return builds.seen.phases


def test_a_watch_that_comes_too_early_is_asked_for_again():
    refused = set()

    def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path not in refused:
            refused.add(request.path)
            return web.Response(status=429, headers={"Retry-After": "0"}, text="storage is (re)initializing")
        return web.Response(body=BUILD if request.path.endswith("/imagebuilds") else b"")

    assert asyncio.run(watched(answer)) == {("team", "app"): "Succeeded"}


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_watch_that_is_refused_ends_the_wait(status):
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(watched(lambda _: web.Response(status=status, text="no")))
    assert raised.value.subgroup(lambda error: isinstance(error, ApiError) and error.code == status)
