"""The operator's program: `strake-operator`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import kopf

from strake_operator.errors import ClusterError, OperatorError
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Queue
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.handlers.slots import Slots
from strake_operator.handlers.watch import register
from strake_operator.kube.cluster import Cluster, connect
from strake_operator.kube.watched import Watched
from strake_operator.reconcile.admit import Limits
from strake_operator.registries.source import RegistriesSource, open_registries
from strake_operator.settings import Settings, read_settings

PROGRESS_SECONDS = 1.0
"""How often a running build's progress is written, at most."""


SETTLED_SECONDS = 120.0
"""When the watches have brought all that was there at the start."""
RETRY_SECONDS = 2.0
"""How soon to ask an API server again that did not answer at the start."""


async def _find_jobs(cluster: Cluster) -> None:
    """See what goes on already, so that no more is started than may go on."""
    while True:
        try:
            await cluster.find_jobs()
        except ClusterError as error:
            logging.getLogger(__name__).warning("%s; asking again in %.0f s", error, RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def _settle(watched: Watched, slots: Slots) -> None:
    watched.settle()
    slots.changed()


async def serve(settings: Settings, registries: RegistriesSource, liveness: str) -> None:
    """Reconcile ImageBuilds until a signal stops the process."""
    watched = Watched()
    async with connect(watched) as cluster:
        follower = Follower(cluster.log_lines)
        limits = Limits(settings.max_runs, settings.max_runs_per_namespace)
        slots = Slots(lambda: limits, watched.running, lambda key: queue.add(key))  # noqa: PLW0108 - the queue comes later
        reconciler = Reconciler(
            cluster,
            follower,
            settings,
            lambda key: queue.requeue_after(key, PROGRESS_SECONDS),
            registries=registries,
            watched=watched,
            slots=slots,
        )
        queue = Queue(reconciler.reconcile, urgent=lambda key: watched.is_open(key.namespace, key.name))
        registry = kopf.OperatorRegistry()
        kopf_settings = kopf.OperatorSettings()
        register(registry, kopf_settings, queue, watched, slots)
        await _find_jobs(cluster)
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, _settle, watched, slots)
        async with queue.running():
            try:
                await kopf.operator(
                    registry=registry,
                    settings=kopf_settings,
                    standalone=True,
                    clusterwide=True,
                    liveness_endpoint=liveness,
                )
            finally:
                await follower.close()


def main() -> None:
    """Run the operator; the exit status is 1 where the settings are wrong."""
    logging.basicConfig(
        level=os.environ.get("STRAKE_LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(message)s"
    )
    for noisy in ("kopf", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # kopf asks for the user's name, which a number without an entry in /etc/passwd does not have.
    os.environ.setdefault("LOGNAME", "strake-operator")
    try:
        settings, registries = read_settings(os.environ), open_registries(os.environ)
        liveness = os.environ.get("STRAKE_LIVENESS", "http://0.0.0.0:8080/healthz")
        asyncio.run(serve(settings, registries, liveness))
    except OperatorError as error:
        sys.exit(f"strake-operator: {error}")


if __name__ == "__main__":
    main()
