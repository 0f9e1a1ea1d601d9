"""The operator's program: `strake-operator`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import kopf
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from strake_operator.addresses import Addresses, read_addresses
from strake_operator.errors import ClusterError, OperatorError
from strake_operator.handlers.follower import MOST_LOGS, Follower
from strake_operator.handlers.queue import Key, Queue
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.handlers.slots import Slots
from strake_operator.handlers.watch import register
from strake_operator.kube.cluster import Cluster
from strake_operator.kube.connection import connect
from strake_operator.kube.watched import Watched
from strake_operator.logs import about, set_up
from strake_operator.metrics.runs import RunMetrics
from strake_operator.metrics.server import serving
from strake_operator.metrics.work import WorkMetrics
from strake_operator.reconcile.admission.admit import Limits
from strake_operator.registries.source import RegistriesSource, open_registries
from strake_operator.settings import Settings, read_settings

SETTLED_SECONDS = 120.0
"""When the watches have brought all that was there at the start."""
RETRY_SECONDS = 2.0
"""How soon to ask an API server again that did not answer at the start."""


async def _look_around(cluster: Cluster) -> None:
    """See what goes on already and which policies hold, so that no more is started than may be."""
    while True:
        try:
            await cluster.find_policies()
            await cluster.find_jobs()
        except ClusterError as error:
            logging.getLogger(__name__).warning("%s; asking again in %.0f s", error, RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def _settle(watched: Watched, slots: Slots) -> None:
    watched.settle()
    slots.changed()


async def serve(settings: Settings, registries: RegistriesSource, addresses: Addresses) -> None:
    """Reconcile ImageBuilds until a signal stops the process."""
    watched, started = Watched(), asyncio.Event()
    exposed = CollectorRegistry()
    for collect in (ProcessCollector, PlatformCollector, GCCollector):
        collect(registry=exposed)
    runs, work = RunMetrics(exposed), WorkMetrics(exposed)
    async with (
        serving(addresses.metrics, exposed, started.is_set),
        connect(watched, work.requests(), runs, logs=MOST_LOGS) as cluster,
    ):
        follower = Follower(cluster.log_lines)

        def limits() -> Limits:
            return Limits(settings.max_runs, settings.max_runs_per_namespace, watched.policies.runs())

        slots = Slots(limits, watched.running, lambda key: queue.add(key))  # noqa: PLW0108 - the queue comes later
        reconciler = Reconciler(
            cluster,
            follower,
            settings,
            lambda key, seconds: queue.requeue_after(key, seconds),  # noqa: PLW0108 - likewise
            registries=registries,
            watched=watched,
            slots=slots,
        )

        async def reconcile(key: Key) -> float | None:
            with about(key.namespace, key.name):
                return await reconciler.reconcile(key)

        queue = Queue(work.counted(reconcile), urgent=lambda key: watched.is_open(key.namespace, key.name))
        work.queue_depth(lambda: queue.depth)
        registry = kopf.OperatorRegistry()
        kopf_settings = kopf.OperatorSettings()
        register(registry, kopf_settings, queue, watched, slots)
        await _look_around(cluster)
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, _settle, watched, slots)
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
