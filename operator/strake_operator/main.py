"""The operator's program: `strake-operator`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import kopf

from strake_operator.errors import OperatorError
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Queue
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.handlers.watch import register
from strake_operator.kube.cluster import connect
from strake_operator.kube.watched import Watched
from strake_operator.registries.source import RegistriesSource, open_registries
from strake_operator.settings import Settings, read_settings

PROGRESS_SECONDS = 1.0
"""How often a running build's progress is written, at most."""


async def serve(settings: Settings, registries: RegistriesSource, liveness: str) -> None:
    """Reconcile ImageBuilds until a signal stops the process."""
    watched = Watched()
    async with connect(watched) as cluster:
        follower = Follower(cluster.log_lines)
        reconciler = Reconciler(
            cluster,
            follower,
            settings,
            lambda key: queue.requeue_after(key, PROGRESS_SECONDS),
            registries=registries,
            watched=watched,
        )
        queue = Queue(reconciler.reconcile, urgent=lambda key: watched.is_open(key.namespace, key.name))
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
