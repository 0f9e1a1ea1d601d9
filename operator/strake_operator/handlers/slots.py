"""The slots of runs: who has one, who waits for one, and who is woken when one gets free.

What runs is known from Jobs, so a restarted operator counts the same; who waits registers with each
reconcile. A start is reserved in the moment it is decided, since the Job is there only some requests later.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from strake_operator.handlers.queue import Key
from strake_operator.reconcile.admission.admit import (
    ADMITTED,
    Admission,
    Limits,
    Line,
    Waiting,
    admit,
    queue_of,
)
from strake_operator.reconcile.starting import seconds_to_look

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from strake_operator.kube.watched import Name

WAKE_SECONDS = 0.05
"""How long changes are gathered before those are woken who may start then."""
POSITIONS_SECONDS = 1.0
"""How long positions in the queue are kept where few wait: of thousands none needs to be exact."""
TOLD_SHARE = 0.9
"""Of the time until somebody who waits is looked at again: until then the position shown stays."""
MANY = 500
"""For each so many who wait, positions are kept for as long again."""


class Slots:
    """The slots of runs.

    Args:
        limits: Returns how many runs may go on.
        running: Returns the ImageBuilds that have a Job which goes on.
        wake: Has an ImageBuild reconciled, which may start now.
    """

    def __init__(
        self,
        limits: Callable[[], Limits],
        running: Callable[[], Collection[Name]],
        wake: Callable[[Key], None],
    ) -> None:
        self._limits = limits
        self._running = running
        self._wake = wake
        self._line = Line()
        self._reserved: set[Key] = set()
        self._held: set[Key] = set()
        self._served: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._positions: dict[Key, int] = {}
        self._told: dict[Key, tuple[float, Admission]] = {}
        self._looked = float("-inf")

    def admission(self, one: Waiting) -> Admission:
        """Return whether a run may start now; its position in the queue where it may not."""
        limits, key = self._limits(), Key(one.namespace, one.name)
        going = self._going()
        if key in going:
            return ADMITTED  # a Job of its own is there, which it may adopt
        counts = Counter(each.namespace for each in going)
        if limits.is_full(one.namespace, counts):
            limit = limits.of(one.namespace)
            words = f"{counts[one.namespace]} of {limit} runs of namespace {one.namespace} go on"
            return self._queued(key, "NamespaceLimit", words)
        free = limits.free(counts)
        if free is None:
            return ADMITTED
        if free:
            self._line.put(one)
            if one in admit(self._line, counts, limits, self._served):
                return ADMITTED
        words = f"{len(going)} of {limits.cluster} runs of the cluster go on"
        if len(going) < (limits.cluster or 0):
            words += ", and others have waited longer or have fewer"
        return self._queued(key, "ClusterLimit", words)

    def take(self, key: Key) -> None:
        """Reserve a slot for a run that is about to get its Job."""
        self._line.drop(key.namespace, key.name)
        self._told.pop(key, None)
        self._reserved.add(key)
        self._served[key.namespace] = max(self._served.values(), default=0) + 1

    def release(self, key: Key) -> None:
        """Give up a reservation: the run has its Job by now, or it did not come to that."""
        self._reserved.discard(key)
        self.changed()

    def holds(self, key: Key, *, held: bool) -> None:
        """Take note of whether a run has its slot also between two of its Jobs, as one in parts has."""
        if held:
            self._held.add(key)
        elif key in self._held:
            self._held.discard(key)
            self.changed()

    def waits(self, one: Waiting) -> None:
        """Take note of a run that waits for its turn."""
        self._line.put(one)

    def leaves(self, key: Key) -> None:
        """Take note that a run does not wait for its turn (any more)."""
        self._told.pop(key, None)
        if self._line.drop(key.namespace, key.name):
            self.changed()

    def changed(self) -> None:
        """Wake who may start, soon."""
        if len(self._line) and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WAKE_SECONDS, self._wake_next)

    def _wake_next(self) -> None:
        self._timer = None
        counts = Counter(each.namespace for each in self._going())
        limits = self._limits()
        if limits.free(counts) == 0:
            return
        for one in admit(self._line, counts, limits, self._served):
            self._wake(Key(one.namespace, one.name))

    def _going(self) -> set[Key]:
        return {Key(*name) for name in self._running()} | self._reserved | self._held

    def _queued(self, key: Key, limit: str, words: str) -> Admission:
        """Return what somebody who waits is told; the same for a while, since each change is a write."""
        now = asyncio.get_running_loop().time()
        until, told = self._told.get(key, (now, ADMITTED))
        if now < until:
            return told
        if now - self._looked >= POSITIONS_SECONDS * max(1.0, len(self._line) / MANY):
            counts = Counter(each.namespace for each in self._going())
            ordered = enumerate(queue_of(self._line, counts, self._served), start=1)
            self._positions = {Key(one.namespace, one.name): at for at, one in ordered}
            self._looked = now
        last = len(self._line) + ((key.namespace, key.name) not in self._line)
        told = Admission(admitted=False, position=self._positions.get(key, last), limit=limit, words=words)
        self._told[key] = (now + TOLD_SHARE * seconds_to_look(told), told)
        return told
