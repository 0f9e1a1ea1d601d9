"""The operator's program: `strake-operator`."""

from __future__ import annotations

import asyncio
import os
import sys

import kopf
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from strake_operator.addresses import Addresses, read_addresses
from strake_operator.errors import OperatorError
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Key, Queue
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.handlers.watch import register
from strake_operator.kube.connection import connect
from strake_operator.kube.watched import Watched
from strake_operator.logs import about, set_up
from strake_operator.metrics.runs import RunMetrics
from strake_operator.metrics.server import serving
from strake_operator.metrics.work import WorkMetrics
from strake_operator.registries.source import RegistriesSource, open_registries
from strake_operator.settings import Settings, read_settings

PROGRESS_SECONDS = 1.0
"""How often a running build's progress is written, at most."""


async def serve(settings: Settings, registries: RegistriesSource, addresses: Addresses) -> None:
    """Reconcile ImageBuilds until a signal stops the process."""
    watched, started = Watched(), asyncio.Event()
    exposed = CollectorRegistry()
    for collect in (ProcessCollector, PlatformCollector, GCCollector):
        collect(registry=exposed)
    runs, work = RunMetrics(exposed), WorkMetrics(exposed)
    async with (
        serving(addresses.metrics, exposed, started.is_set),
        connect(watched, work.requests(), runs) as cluster,
    ):
        follower = Follower(cluster.log_lines)
        reconciler = Reconciler(
            cluster,
            follower,
            settings,
            lambda key: queue.requeue_after(key, PROGRESS_SECONDS),
            registries=registries,
            watched=watched,
        )

        async def reconcile(key: Key) -> float | None:
            with about(key.namespace, key.name):
                return await reconciler.reconcile(key)

        queue = Queue(work.counted(reconcile), urgent=lambda key: watched.is_open(key.namespace, key.name))
        work.queue_depth(lambda: queue.depth)
        registry = kopf.OperatorRegistry()
        kopf_settings = kopf.OperatorSettings()
        register(registry, kopf_settings, queue, watched)
        async with queue.running():
            try:
                await kopf.operator(
                    registry=registry,
                    settings=kopf_settings,
                    standalone=True,
                    clusterwide=True,
                    liveness_endpoint=addresses.liveness,
                    ready_flag=started,
                )
            finally:
                await follower.close()


def main() -> None:
    """Run the operator; the exit status is 1 where the settings are wrong."""
    # kopf asks for the user's name, which a number without an entry in /etc/passwd does not have.
    os.environ.setdefault("LOGNAME", "strake-operator")
    try:
        set_up(os.environ)
        settings, registries = read_settings(os.environ), open_registries(os.environ)
        asyncio.run(serve(settings, registries, read_addresses(os.environ)))
    except OperatorError as error:
        sys.exit(f"strake-operator: {error}")


if __name__ == "__main__":
    main()
