"""Serves the numbers, and whether the operator is ready, over HTTP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry


@contextlib.asynccontextmanager
async def serving(
    address: tuple[str, int], registry: CollectorRegistry, is_ready: Callable[[], bool]
) -> AsyncIterator[int]:
    """Serve `/metrics` and `/readyz` for as long as the context lasts; yield the port.

    Args:
        address: Host and port to listen at; port 0 stands for a free one.
        registry: What to expose.
        is_ready: Tells whether the operator does its work.

    Raises:
        SettingsError: Nothing can listen there.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def ready(_: web.Request) -> web.Response:
        if is_ready():
            return web.Response(text="ok\n")
        return web.Response(text="the watches have not begun\n", status=503)

    application = web.Application()
    application.add_routes([web.get("/metrics", metrics), web.get("/readyz", ready)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address)
        try:
            await site.start()
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            raise SettingsError(f"STRAKE_METRICS: cannot listen at {where}: {error.strerror}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
