"""Who starts next: a pure function of who waits, what runs and how much may run.

A namespace in which less runs comes before one in which more does; of those with as many the one whose last
start is the longest ago, then the one that has waited longest. So a namespace with a thousand builds delays
the single build of another by no more than one end of a run, and each namespace gets its turn. Inside a
namespace the higher priority comes first, then what has waited longer.
"""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that waits for its turn."""

    namespace: str
    name: str
    since: datetime
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many runs may go on at a time."""

    cluster: int | None = None
    """In all; no limit where None."""
    namespace: int | None = None
    """In each namespace that has no limit of its own; no limit where None."""
    of_namespaces: Mapping[str, int] = field(default_factory=dict)
    """Of namespaces that have one of their own."""

    def of(self, namespace: str) -> int | None:
        """Return how many runs of a namespace may go on; None where there is no limit."""
        own = self.of_namespaces.get(namespace)
        limits = [each for each in (own, self.namespace) if each is not None]
        return min(limits, default=None)

    def is_full(self, namespace: str, running: Mapping[str, int]) -> bool:
        """Return whether a namespace has as many runs as it may have."""
        limit = self.of(namespace)
        return limit is not None and running.get(namespace, 0) >= limit

    def free(self, running: Mapping[str, int]) -> int | None:
        """Return how many more runs the cluster takes; None where there is no limit."""
        return None if self.cluster is None else max(self.cluster - sum(running.values()), 0)


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a run may start, and its position in the queue where it may not."""

    admitted: bool = True
    position: int | None = None
    """From 1: how many starts until its own, if all ran equally long."""
    limit: str | None = None
    """What it waits for: ClusterLimit or NamespaceLimit."""
    words: str = ""
    """The same for people."""


ADMITTED = Admission()


NOBODY: Final[Mapping[str, int]] = {}


def admit(
    waiting: Iterable[Waiting], running: Mapping[str, int], limits: Limits, served: Mapping[str, int] = NOBODY
) -> tuple[Waiting, ...]:
    """Return who may start now, in order.

    Args:
        waiting: Who waits.
        running: How many runs of each namespace go on.
        limits: How many may.
        served: When each namespace had its last start: a number that grows from start to start.
    """
    free, taken = limits.free(running), Counter(running)
    chosen: list[Waiting] = []
    possible = [one for one in waiting if not limits.is_full(one.namespace, running)]
    for each in _turns(possible, running, served):
        if free is not None and len(chosen) >= free:
            break
        if limits.is_full(each.namespace, taken):
            continue
        taken[each.namespace] += 1
        chosen.append(each)
    return tuple(chosen)


def queue_of(
    waiting: Iterable[Waiting], running: Mapping[str, int], served: Mapping[str, int] = NOBODY
) -> tuple[Waiting, ...]:
    """Return who waits in the order of their starts, as if no run ended before all had started."""
    return tuple(_turns(waiting, running, served))


def _turns(
    waiting: Iterable[Waiting], running: Mapping[str, int], served: Mapping[str, int]
) -> Iterator[Waiting]:
    queues: dict[str, list[tuple[Waiting, datetime]]] = {}
    # From the last to the first, so that each knows since when somebody of its namespace waits behind it.
    for each in sorted(waiting, key=lambda one: (-one.priority, one.since, one.name), reverse=True):
        queue = queues.setdefault(each.namespace, [])
        queue.append((each, min(each.since, queue[-1][1]) if queue else each.since))
    turns = [
        (running.get(name, 0), served.get(name, 0), queue[-1][1], name) for name, queue in queues.items()
    ]
    latest = max(served.values(), default=0)
    heapq.heapify(turns)
    while turns:
        count, _, _, name = heapq.heappop(turns)
        queue = queues[name]
        yield queue.pop()[0]
        latest += 1
        if queue:
            heapq.heappush(turns, (count + 1, latest, queue[-1][1], name))
