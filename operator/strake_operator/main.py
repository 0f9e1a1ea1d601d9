"""The operator's program: `strake-operator`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import kopf
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from strake_operator.cloudevents.settings import EventSettings, read_event_settings
from strake_operator.errors import ClusterError, OperatorError
from strake_operator.handlers.election import Election
from strake_operator.handlers.follower import MOST_LOGS, Follower
from strake_operator.handlers.outside.hearers import outside
from strake_operator.handlers.queue import Key, Queue, Rank
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.handlers.slots import Slots
from strake_operator.handlers.watch import register
from strake_operator.kube.cluster import Cluster
from strake_operator.kube.connection import connect
from strake_operator.kube.leases import lease_client
from strake_operator.kube.watched import Watched
from strake_operator.logs import about, set_up
from strake_operator.metrics.runs import RunMetrics
from strake_operator.metrics.server import alive, serving
from strake_operator.metrics.work import WorkMetrics
from strake_operator.reconcile.admission.admit import Limits
from strake_operator.registries.source import RegistriesSource, open_registries
from strake_operator.settings.addresses import Addresses, read_addresses
from strake_operator.settings.environment import Settings, read_settings
from strake_operator.settings.lease import LeaseSettings, read_lease_settings
from strake_operator.traces.settings import traces_wanted

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)

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
            logger.warning("%s; asking again in %.0f s", error, RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return


def _settle(watched: Watched, slots: Slots) -> None:
    watched.settle()
    slots.changed()


async def _unless(stopped: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do some work, unless a signal stops the process before it is done; return whether it is."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        await asyncio.wait({working})  # what comes next relies on its end
        return False
    await working
    return True


async def _keep(election: Election) -> None:
    """Renew the Lease; end the process at once where that fails, since another one acts by then."""
    why = "internal error"
    try:
        why = await election.keep()
    except Exception:
        logger.exception("renewing the Lease failed")
    logger.critical("%s: this process ends, and stands by when it is started again", why)
    logging.shutdown()
    os._exit(1)


async def serve(
    settings: Settings,
    registries: RegistriesSource,
    addresses: Addresses,
    lease: LeaseSettings,
    events: EventSettings | None = None,
    *,
    traces: bool = False,
) -> None:
    """Reconcile ImageBuilds while this operator has the Lease, until a signal stops the process."""
    started, stopped = asyncio.Event(), asyncio.Event()
    _stop_on_signal(stopped)  # without a handler, the first process of a container does not hear the signal
    exposed = CollectorRegistry()
    for collect in (ProcessCollector, PlatformCollector, GCCollector):
        collect(registry=exposed)
    work = WorkMetrics(exposed)
    async with lease_client(lease.namespace, lease.name, lease.terms.deadline_seconds / 2) as client:
        election = Election(client, lease.identity, lease.terms)
        work.leads(lambda: election.leads)

        def unready() -> str | None:
            # One that stands by is ready to take over, so a rollout may end the one that acts.
            if started.is_set() or election.stands_by:
                return None
            return "the watches have not begun" if election.leads else "nobody knows yet who acts"

        async with alive(addresses.liveness), serving(addresses.metrics, exposed, unready):
            if not await _unless(stopped, election.acquire()):
                return
            keeping = asyncio.create_task(_keep(election), name="lease")
            try:
                await _act(
                    settings, registries, (events, traces), election, (exposed, work), started, stopped
                )
            finally:
                keeping.cancel()
                await election.release()


async def _act(
    settings: Settings,
    registries: RegistriesSource,
    told: tuple[EventSettings | None, bool],
    election: Election,
    metrics: tuple[CollectorRegistry, WorkMetrics],
    started: asyncio.Event,
    stopped: asyncio.Event,
) -> None:
    (events, traces), (exposed, work) = told, metrics
    watched, runs = Watched(), RunMetrics(exposed)

    def requeue(key: Key, seconds: float) -> None:
        queue.requeue_after(key, seconds)

    async with (
        connect(watched, work.requests(), runs, logs=MOST_LOGS, check=election.check) as cluster,
        outside(events, exposed, requeue, cluster.log_lines if traces else None) as hearers,
    ):
        follower = Follower(cluster.log_lines)

        def limits() -> Limits:
            return Limits(settings.max_runs, settings.max_runs_per_namespace, watched.policies.runs())

        slots = Slots(limits, watched.running, lambda key: queue.add(key, Rank.GOES_ON))
        reconciler = Reconciler(
            cluster,
            follower,
            settings,
            requeue,
            registries=registries,
            watched=watched,
            slots=slots,
            outside=hearers,
        )

        async def reconcile(key: Key) -> float | None:
            with about(key.namespace, key.name):
                return await reconciler.reconcile(key)

        def rank(key: Key) -> Rank:
            if not watched.is_open(key.namespace, key.name):
                return Rank.ENDED
            return Rank.GOES_ON if watched.has_job(key.namespace, key.name) else Rank.COMES

        queue = Queue(work.counted(reconcile), rank=rank)
        work.queue_depth(lambda: queue.depth)
        registry = kopf.OperatorRegistry()
        kopf_settings = kopf.OperatorSettings()
        register(registry, kopf_settings, queue, watched, slots)
        if not await _unless(stopped, _look_around(cluster)):
            return
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, _settle, watched, slots)
        async with queue.running():
            try:
                await _watch(registry, kopf_settings, started, stopped)
            finally:
                await follower.close()


async def _watch(
    registry: kopf.OperatorRegistry,
    settings: kopf.OperatorSettings,
    started: asyncio.Event,
    stopped: asyncio.Event,
) -> None:
    """Run kopf until a signal stops the process.

    It is cancelled: told to stop, it waits five seconds for connections of ours that nothing would end, and
    the next operator as long for the Lease.
    """

    @kopf.on.startup(registry=registry)
    async def hear(**_: object) -> None:
        _stop_on_signal(stopped)  # kopf has handlers of its own by now

    operator = kopf.operator(
        registry=registry, settings=settings, standalone=True, clusterwide=True, ready_flag=started
    )
    await _unless(stopped, operator)


def _stop_on_signal(stopped: asyncio.Event) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stopped.set)


def main() -> None:
    """Run the operator; the exit status is 1 where the settings are wrong."""
    # kopf asks for the user's name, which a number without an entry in /etc/passwd does not have.
    os.environ.setdefault("LOGNAME", "strake-operator")
    try:
        set_up(os.environ)
        settings, registries = read_settings(os.environ), open_registries(os.environ)
        addresses, lease = read_addresses(os.environ), read_lease_settings(os.environ)
        events, traces = read_event_settings(os.environ), traces_wanted(os.environ)
        asyncio.run(serve(settings, registries, addresses, lease, events, traces=traces))
    except OperatorError as error:
        sys.exit(f"strake-operator: {error}")


if __name__ == "__main__":
    main()
