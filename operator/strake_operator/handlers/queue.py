"""Builds to reconcile: each at most once in the queue, and never reconciled by two workers at a time.

The handlers only name a build here; what happened to it is found out by the reconcile (level-triggered), so
that events may be lost, doubled or out of order. A reconcile that fails is requeued with backoff.

Builds that have a Job come first, since the end of one makes room for another; builds that ended come last:
what is tidied up, for thousands at once after a restart, keeps no new build waiting. Namespaces take turns,
so thousands that were made at once in one of them keep the single build of another waiting for one reconcile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from strake_operator.errors import ConflictError, OperatorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 60.0
LAST_CONFLICT_SECONDS = 4.0
"""The longest wait where somebody else was quicker, who may be done in the next moment."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """An ImageBuild's name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Rank(IntEnum):
    """Which builds come first."""

    GOES_ON = 0
    COMES = 1
    ENDED = 2


@dataclass(frozen=True, slots=True, order=True)
class _Position:
    """The position of a build in the queue: the lowest comes first."""

    rank: Rank
    turn: int
    number: int
    key: Key


class Queue:
    """Builds to reconcile.

    Args:
        reconcile: Reconciles a build; returns after how many seconds to requeue it, if at all.
        workers: How many builds are reconciled at the same time.
        rank: Tells the rank of a build when it is added; all are alike by default.
    """

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[float | None]],
        *,
        workers: int = 16,
        rank: Callable[[Key], Rank] = lambda _: Rank.COMES,
    ) -> None:
        self._reconcile = reconcile
        self._workers = workers
        self._rank = rank
        self._turn = dict.fromkeys(Rank, 0)
        self._last: dict[tuple[Rank, str], int] = {}
        self._waiting: asyncio.PriorityQueue[_Position] = asyncio.PriorityQueue()
        self._queued: dict[Key, _Position] = {}
        self._count = itertools.count()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}

    @property
    def depth(self) -> int:
        """How many builds wait for a worker."""
        return len(self._queued)

    def add(self, key: Key, rank: Rank | None = None) -> None:
        """Have a build reconciled as soon as a worker is free; the rank is the build's own where None."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._running:
            self._again.add(key)
        else:
            rank = self._rank(key) if rank is None else rank
            queued = self._queued.get(key)
            if queued is None or rank < queued.rank:
                self._queued[key] = position = self._last_of(rank, key)
                self._waiting.put_nowait(position)

    def _last_of(self, rank: Rank, key: Key) -> _Position:
        """Return a position behind the others of a namespace, in the next turn of that."""
        if not self._queued:
            self._last.clear()
        place = (rank, key.namespace)
        turn = self._last[place] = max(self._turn[rank], self._last.get(place, -1) + 1)
        return _Position(rank, turn, next(self._count), key)

    def requeue_after(self, key: Key, seconds: float) -> None:
        """Have a build reconciled after some time, or earlier if something asks for it earlier."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self.add, key)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the workers for as long as the context lasts."""
        tasks = [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(self._workers)]
        try:
            yield
        finally:
            for timer in self._timers.values():
                timer.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            position = await self._waiting.get()
            key = position.key
            if self._queued.get(key) is not position:
                continue  # it became urgent, and was reconciled from its better position
            del self._queued[key]
            self._turn[position.rank] = position.turn
            self._running.add(key)
            try:
                await self._reconcile_one(key)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _reconcile_one(self, key: Key) -> None:
        try:
            again = await self._reconcile(key)
        except ConflictError:
            # Somebody changed the build between read and write: reconcile what it is now. Once at once; what
            # goes on like this is retried as any other failure.
            if key in self._failures:
                self._retry(key, "it, or a quota of its namespace, keeps changing", LAST_CONFLICT_SECONDS)
            else:
                self._failures[key] = 0
                self._again.add(key)
        except OperatorError as error:
            self._retry(key, str(error))
        except Exception:
            # A mistake of ours must not end the worker, and with it every sixteenth build.
            logger.exception("reconciling ImageBuild %s failed", key)
            self._retry(key, "internal error")
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.requeue_after(key, again)

    def _retry(self, key: Key, why: str, longest: float = LAST_RETRY_SECONDS) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = min(FIRST_RETRY_SECONDS * 2 ** (failures - 1), longest)
        logger.warning("ImageBuild %s: %s; requeued in %.1f s", key, why, delay)
        self.requeue_after(key, delay)
