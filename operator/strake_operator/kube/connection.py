"""Connects with the API server, and has what is asked and written there counted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp
from kubernetes.aio import client, config

from strake_operator.errors import NotFoundError
from strake_operator.kube.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from strake_api.status import ImageBuildStatus
    from strake_operator.kube.watched import Watched
    from strake_operator.reconcile.observed import Build


CONNECTIONS: Final = 50
"""For requests that end."""


class RunObserver(Protocol):
    """Hears of what becomes of ImageBuilds, which are named by namespace and name."""

    def changed(self, build: tuple[str, str], before: ImageBuildStatus, after: ImageBuildStatus) -> None:
        """Take note of a status that was written."""
        ...

    def forget(self, build: tuple[str, str]) -> None:
        """Take note of an ImageBuild that is gone."""
        ...


class ObservedCluster(Cluster):
    """A cluster whose statuses somebody hears of.

    Args:
        api: As of a cluster.
        watched: Likewise.
        runs: Hears of each status.
    """

    def __init__(self, api: client.ApiClient, watched: Watched, runs: RunObserver) -> None:
        super().__init__(api, watched)
        self._runs = runs

    async def build(self, namespace: str, name: str) -> Build:
        """As `Cluster.build`."""
        try:
            return await super().build(namespace, name)
        except NotFoundError:
            self._runs.forget((namespace, name))
            raise

    async def write_status(self, build: Build, status: ImageBuildStatus) -> None:
        """As `Cluster.write_status`."""
        await super().write_status(build, status)
        self._runs.changed((build.namespace, build.name), build.status, status)


class FencedClient(client.ApiClient):
    """Connections that change nothing without leave.

    Args:
        configuration: As of the library's client.
        check: Raises where this operator may not act, immediately before each request that changes something.
    """

    def __init__(self, configuration: client.Configuration, check: Callable[[], None]) -> None:
        super().__init__(configuration)
        self._check = check

    async def call_api(self, method: str, *arguments: Any, **options: Any) -> Any:
        """As the library's."""
        if method not in {"GET", "HEAD"}:
            self._check()
        return await super().call_api(method, *arguments, **options)


def _fence(check: Callable[[], None]) -> aiohttp.TraceConfig:
    """Return what checks once more when a request has its connection, for which it may have waited."""
    trace = aiohttp.TraceConfig()

    async def connected(*_: object) -> None:
        check()

    trace.on_connection_reuseconn.append(connected)
    trace.on_connection_create_end.append(connected)
    return trace


@asynccontextmanager
async def connect(
    watched: Watched,
    trace: aiohttp.TraceConfig,
    runs: RunObserver,
    *,
    logs: int,
    check: Callable[[], None],
) -> AsyncIterator[ObservedCluster]:
    """Connect with the pod's service account, or with the kubeconfig outside a cluster.

    Args:
        watched: What the watches know.
        trace: Hears of each request.
        runs: Hears of each status.
        logs: How many logs are read at a time.
        check: Raises where this operator may not act.
    """
    configuration = await configured()
    configuration.trace_configs = [trace, _fence(check)]
    # Beside what logs take, which are connections for as long as builds run.
    configuration.connection_pool_maxsize = logs + CONNECTIONS
    async with FencedClient(configuration, check) as api:
        # The API server names the writer of a field after it.
        api.user_agent = "strake-operator"
        yield ObservedCluster(api, watched, runs)


async def configured() -> client.Configuration:
    """Return how to reach the API server, and as whom."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the library's
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the library's
    return configuration
