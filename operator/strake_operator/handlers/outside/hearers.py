"""What others hear of builds: CloudEvents and traces, each where the platform wants it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from strake_operator.handlers.outside.outbox import outbox_of
from strake_operator.handlers.outside.tracing import Tracing
from strake_operator.traces.export import Exporter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from prometheus_client import CollectorRegistry

    from strake_api.status import ImageBuildStatus
    from strake_operator.cloudevents.settings import EventSettings
    from strake_operator.handlers.outside.outbox import Outbox
    from strake_operator.handlers.queue import Key
    from strake_operator.reconcile.observed import Build, Observation


class Outside:
    """Who hears of builds.

    Args:
        outbox: Takes the CloudEvents; None where nobody wants them.
        tracing: Traces runs; None where nobody wants that.
    """

    def __init__(self, outbox: Outbox | None = None, tracing: Tracing | None = None) -> None:
        self._outbox = outbox
        self._tracing = tracing

    def status_to_write(self, key: Key, build: Build, status: ImageBuildStatus) -> ImageBuildStatus:
        """Return a status with what is to be told of it."""
        return status if self._outbox is None else self._outbox.status_to_write(key, build, status)

    def written(self, key: Key, seen: Observation, status: ImageBuildStatus) -> None:
        """Take note of a status that was written."""
        if self._tracing is not None:
            self._tracing.reported(key, seen, status)

    def offer(self, key: Key, build: Build, status: ImageBuildStatus) -> None:
        """Have told what a status says is to be told."""
        if self._outbox is not None:
            self._outbox.offer(key, build, status)

    def forget(self, key: Key) -> None:
        """Drop what is known of a build that is gone."""
        if self._outbox is not None:
            self._outbox.forget(key)
        if self._tracing is not None:
            self._tracing.forget(key)


@contextlib.asynccontextmanager
async def outside(
    events: EventSettings | None,
    exposed: CollectorRegistry,
    requeue: Callable[[Key, float], None],
    lines: Callable[[str, str], AsyncGenerator[bytes]] | None,
) -> AsyncIterator[Outside]:
    """Yield who hears of builds, for as long as the context lasts.

    Args:
        events: Where CloudEvents go; None for nowhere.
        exposed: Where numbers about them are exposed.
        requeue: Has a build reconciled after some seconds.
        lines: Yields the lines of a pod's log, to trace runs; None where nobody wants that.
    """
    async with outbox_of(events, exposed, requeue) as outbox:
        if lines is None:
            yield Outside(outbox)
            return
        exporter = Exporter()
        tracing = Tracing(lines, exporter)
        try:
            yield Outside(outbox, tracing)
        finally:
            await tracing.close()
            exporter.close()
