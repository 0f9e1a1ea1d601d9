"""Which CloudEvents are to be delivered: kept on the statuses, so that a restart or another operator goes on.

A run's number is on `status.undelivered` from the write that ends it to the one after its delivery. So no end
is lost between the two, and a run that ended while nothing was to be told is never told of.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from strake_operator.cloudevents.delivery import Delivery
from strake_operator.cloudevents.event import cloud_event, number_of
from strake_operator.cloudevents.receiver import receiver_of
from strake_operator.metrics.deliveries import DeliveryMetrics
from strake_operator.reconcile.ends.untold import newly_ended

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry

    from strake_api.status import ImageBuildStatus
    from strake_operator.cloudevents.settings import EventSettings
    from strake_operator.handlers.queue import Key
    from strake_operator.reconcile.observed import Build

FULL_SECONDS: Final = 60.0
"""How soon to offer an event again that found no room."""


class Outbox:
    """The events of builds.

    Args:
        delivery: Takes events.
        source: The events' attribute of this name.
        requeue: Has a build reconciled after some seconds.
    """

    def __init__(self, delivery: Delivery, source: str, requeue: Callable[[Key, float], None]) -> None:
        self._delivery = delivery
        self._source = source
        self._requeue = requeue
        self._delivered: dict[Key, set[tuple[str, int]]] = {}

    def status_to_write(self, key: Key, build: Build, status: ImageBuildStatus) -> ImageBuildStatus:
        """Return a status with the runs of its history whose event nobody has received yet."""
        known = {*(build.status.undelivered or ()), *newly_ended(build.status, status)}
        known -= {number for uid, number in self._delivered.get(key, ()) if uid == build.uid}
        there = [number_of(run) for run in status.history or ()]
        left = tuple(number for number in there if number in known)
        return status.model_copy(update={"undelivered": left or None})

    def offer(self, key: Key, build: Build, status: ImageBuildStatus) -> None:
        """Have the events of a status delivered, which is written as it is."""
        undelivered = set(status.undelivered or ())
        if key in self._delivered:
            kept = {each for each in self._delivered[key] if each[0] == build.uid and each[1] in undelivered}
            self._delivered[key] = kept
            if not kept:
                del self._delivered[key]
        for run in status.history or ():
            number = number_of(run)
            if number not in undelivered:
                continue
            event = cloud_event(self._source, key.namespace, key.name, build.uid, run)
            done = partial(self._done, key, build.uid, number)
            if not self._delivery.offer(event, _seconds(run.completion_time), done):
                self._requeue(key, FULL_SECONDS)
                return

    def forget(self, key: Key) -> None:
        """Drop what is known of a build that is gone; what is on its way is still delivered."""
        self._delivered.pop(key, None)

    def _done(self, key: Key, uid: str, number: int) -> None:
        self._delivered.setdefault(key, set()).add((uid, number))
        self._requeue(key, 0.0)


@contextlib.asynccontextmanager
async def outbox_of(
    settings: EventSettings | None, exposed: CollectorRegistry, requeue: Callable[[Key, float], None]
) -> AsyncIterator[Outbox | None]:
    """Yield what delivers events for as long as the context lasts; None where nobody wants them.

    Args:
        settings: Where events go.
        exposed: Where the numbers about them are exposed.
        requeue: Has a build reconciled after some seconds.
    """
    if settings is None:
        yield None
        return
    numbers = DeliveryMetrics(exposed)
    async with receiver_of(settings) as receiver:
        delivery = Delivery(receiver, numbers)
        numbers.waiting(lambda: delivery.waiting)
        try:
            yield Outbox(delivery, settings.source, requeue)
        finally:
            await delivery.close()


def _seconds(moment: str | None) -> float:
    """Return a moment in seconds since 1970; the present where a hand-written status has none."""
    try:
        return datetime.fromisoformat(moment or "").timestamp()
    except ValueError:
        return datetime.now().astimezone().timestamp()
