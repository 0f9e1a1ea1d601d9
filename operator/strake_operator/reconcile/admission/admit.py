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
    from collections.abc import Iterable, Iterator, Mapping, Sequence


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


class Line:
    """Who waits, by namespace, each in the order of the starts there.

    A namespace is sorted when it is asked for and somebody was added: a start, which happens most with
    thousands that wait, takes the first away and leaves the others as they are.

    Args:
        waiting: Who waits at the beginning.
    """

    def __init__(self, waiting: Iterable[Waiting] = ()) -> None:
        self._members: dict[str, dict[str, Waiting]] = {}
        self._sorted: dict[str, list[tuple[Waiting, datetime]]] = {}
        for each in waiting:
            self.put(each)

    def __len__(self) -> int:
        return sum(map(len, self._members.values()))

    def __contains__(self, name: tuple[str, str]) -> bool:
        return name[1] in self._members.get(name[0], {})

    def put(self, one: Waiting) -> None:
        """Take note of somebody who waits, in place of what is known of that build."""
        members = self._members.setdefault(one.namespace, {})
        if members.get(one.name) != one:
            members[one.name] = one
            self._sorted.pop(one.namespace, None)

    def drop(self, namespace: str, name: str) -> bool:
        """Take note of somebody who does not wait any more; return whether it did."""
        members = self._members.get(namespace, {})
        one = members.pop(name, None)
        if one is None:
            return False
        if not members:
            self._members.pop(namespace)
        known = self._sorted.get(namespace)
        if known is not None and known[-1][0] is one:
            known.pop()
        else:
            self._sorted.pop(namespace, None)
        return True

    def namespaces(self) -> Iterable[str]:
        """Return the namespaces in which somebody waits."""
        return self._members.keys()

    def of(self, namespace: str) -> Sequence[tuple[Waiting, datetime]]:
        """Return who waits in a namespace, who starts next as the last.

        With each is the time since when somebody waits there that starts no sooner.
        """
        if namespace not in self._sorted:
            members = self._members[namespace].values()
            queue: list[tuple[Waiting, datetime]] = []
            # From the last to the first, so that each knows since when somebody waits behind it.
            for each in sorted(members, key=lambda one: (-one.priority, one.since, one.name), reverse=True):
                queue.append((each, min(each.since, queue[-1][1]) if queue else each.since))
            self._sorted[namespace] = queue
        return self._sorted[namespace]


def admit(
    line: Line, running: Mapping[str, int], limits: Limits, served: Mapping[str, int] = NOBODY
) -> tuple[Waiting, ...]:
    """Return who may start now, in order.

    Args:
        line: Who waits.
        running: How many runs of each namespace go on.
        limits: How many may.
        served: When each namespace had its last start: a number that grows from start to start.
    """
    free, taken = limits.free(running), Counter(running)
    chosen: list[Waiting] = []
    possible = [name for name in line.namespaces() if not limits.is_full(name, running)]
    for each in _turns(line, possible, running, served):
        if free is not None and len(chosen) >= free:
            break
        if limits.is_full(each.namespace, taken):
            continue
        taken[each.namespace] += 1
        chosen.append(each)
    return tuple(chosen)


def queue_of(
    line: Line, running: Mapping[str, int], served: Mapping[str, int] = NOBODY
) -> tuple[Waiting, ...]:
    """Return who waits in the order of their starts, as if no run ended before all had started."""
    return tuple(_turns(line, line.namespaces(), running, served))


def _turns(
    line: Line, namespaces: Iterable[str], running: Mapping[str, int], served: Mapping[str, int]
) -> Iterator[Waiting]:
    queues = {name: line.of(name) for name in namespaces}
    turns = [
        (running.get(name, 0), served.get(name, 0), queue[-1][1], name, 1) for name, queue in queues.items()
    ]
    latest = max(served.values(), default=0)
    heapq.heapify(turns)
    while turns:
        count, _, _, name, which = heapq.heappop(turns)
        queue = queues[name]
        yield queue[-which][0]
        latest += 1
        if which < len(queue):
            heapq.heappush(turns, (count + 1, latest, queue[-which - 1][1], name, which + 1))
