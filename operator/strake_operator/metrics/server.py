"""Serves the numbers, whether the operator is ready and whether it is alive, over HTTP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from strake_operator.errors import SettingsError
from strake_operator.settings.addresses import LIVENESS_VARIABLE, METRICS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry


@contextlib.asynccontextmanager
async def serving(
    address: tuple[str, int], registry: CollectorRegistry, unready: Callable[[], str | None]
) -> AsyncIterator[int]:
    """Serve `/metrics` and `/readyz` for as long as the context lasts; yield the port.

    Args:
        address: Host and port to listen at; port 0 stands for a free one.
        registry: What to expose.
        unready: Tells what keeps the operator from its work; None where nothing does.

    Raises:
        SettingsError: Nothing can listen there.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def ready(_: web.Request) -> web.Response:
        why = unready()
        return web.Response(text="ok\n") if why is None else web.Response(text=f"{why}\n", status=503)

    routes = [web.get("/metrics", metrics), web.get("/readyz", ready)]
    async with _listening(METRICS_VARIABLE, address, routes) as port:
        yield port


@contextlib.asynccontextmanager
async def alive(url: str) -> AsyncIterator[int]:
    """Answer at a URL for as long as the event loop turns, also while another operator leads; yield the port.

    Args:
        url: Of plain HTTP, with a port.

    Raises:
        SettingsError: Nothing can listen there.
    """
    found = urlsplit(url)

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    address = (found.hostname or "", found.port or 80)
    async with _listening(LIVENESS_VARIABLE, address, [web.get(found.path or "/", health)]) as port:
        yield port


@contextlib.asynccontextmanager
async def _listening(
    variable: str, address: tuple[str, int], routes: list[web.RouteDef]
) -> AsyncIterator[int]:
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, *address)
        try:
            await site.start()
        except OSError as error:
            where = f"{address[0]}:{address[1]}"
            raise SettingsError(f"{variable}: cannot listen at {where}: {error.strerror}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
