"""Delivers events: again and again until the receiver took them, a bounded number at a time.

Nothing is kept here that a restart must find again: which events are not delivered is on the statuses
of the ImageBuilds, which offer theirs anew.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_operator.cloudevents.event import CloudEvent

logger = logging.getLogger(__name__)

MOST_EVENTS: Final = 1000
"""Events in memory, each of some 4 KiB at most; the others wait on their ImageBuilds."""
MOST_POSTS: Final = 4
"""Requests to the receiver at a time."""
FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 300.0
EXPIRES_SECONDS: Final = 24 * 3600.0
"""How long after the end of its run an event is tried."""


class Target(Protocol):
    """Where events go."""

    async def post(self, event: CloudEvent) -> str | None:
        """Send an event; return why it did not arrive, None where it did."""


class Counted(Protocol):
    """What counts deliveries."""

    def result(self, result: str) -> None:
        """Count a request: delivered or failed; or an event that is given_up."""


class Delivery:
    """Events on their way.

    Args:
        target: Where they go.
        counted: Counts.
        pause: Seconds before the second request for an event; each later pause is twice as long.
        most: How many events are in memory.
    """

    def __init__(
        self,
        target: Target,
        counted: Counted,
        *,
        pause: float = FIRST_PAUSE_SECONDS,
        most: int = MOST_EVENTS,
    ) -> None:
        self._target = target
        self._counted = counted
        self._pause = pause
        self._most = most
        self._posts = asyncio.Semaphore(MOST_POSTS)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> int:
        """How many events are in memory."""
        return len(self._tasks)

    def offer(self, event: CloudEvent, ended: float, done: Callable[[], None]) -> bool:
        """Take an event to deliver, unless it is on its way; return whether there was room for it.

        Args:
            event: The event.
            ended: When its run ended, in seconds since 1970.
            done: Called when it was delivered, or given up.
        """
        if event.id in self._tasks:
            return True
        if len(self._tasks) >= self._most:
            return False
        task = asyncio.create_task(self._deliver(event, ended + EXPIRES_SECONDS), name=f"event-{event.id}")
        self._tasks[event.id] = task

        def finished(ended: asyncio.Task[None]) -> None:
            self._tasks.pop(event.id, None)
            if not ended.cancelled() and ended.exception() is None:
                done()

        task.add_done_callback(finished)
        return True

    async def _deliver(self, event: CloudEvent, expires: float) -> None:
        pause = self._pause
        while True:
            async with self._posts:
                trouble = await self._target.post(event)
            self._counted.result("failed" if trouble else "delivered")
            if trouble is None:
                return
            if time.time() > expires:
                self._counted.result("given_up")
                logger.error("CloudEvent %s is given up: %s: %s", event.id, self._target, trouble)
                return
            logger.warning("CloudEvent %s did not arrive at %s: %s", event.id, self._target, trouble)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - so that not all come at once
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Stop delivering: what is on its way stays undelivered on its ImageBuild."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
