"""What is measured, and how."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.scale.api import Api
from tests.scale.builds import Builds, Name
from tests.scale.control_plane import ControlPlane
from tests.scale.operator import Operator, by_kind, requests

LONGEST_SECONDS = 7200.0
PER_SECOND = 5.0
SINGLES = 20
"""Namespaces that make one build each beside the one with thousands."""


@dataclass
class Figures:
    """What was measured; seconds where nothing else is written.

    Attributes:
        start: From each ImageBuild to its Job while slots were free, sorted.
        fair: Likewise of single builds beside thousands that wait.
        slot: How long a run keeps its slot, of those thousands: from its Job to its final status, sorted.
        kinds: Requests by verb and resource, without those of the watches.
        writes: Status writes of each build.
        jobs: Of each build.
        peak: Memory in bytes.
        cpu: Of all builds.
        idle: Requests a second.
        ready: From the start of a restarted operator to its being ready.
        again: From its start to the Job of a new build.
    """

    builds: int
    namespaces: int
    start: list[float] = field(default_factory=list)
    fair: list[float] = field(default_factory=list)
    slot: list[float] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    writes: Counter[Name] = field(default_factory=Counter)
    jobs: Counter[Name] = field(default_factory=Counter)
    peak: int = 0
    peak_again: int = 0
    cpu: float = 0.0
    through: float = 0.0
    idle: float = 0.0
    idle_cpu: float = 0.0
    ready: float = 0.0
    again: float = 0.0
    settling: Counter[str] = field(default_factory=Counter)
    """Requests of the restarted operator."""


async def measure(
    plane: ControlPlane, operator: Operator, figures: Figures, *, waiting: int, paced: int
) -> None:
    """Have all builds run: some one by one, thousands in one namespace, the rest everywhere."""
    spaces = [f"team-{number}" for number in range(figures.namespaces)]
    paced_names = [(spaces[n % len(spaces)], f"paced-{n}") for n in range(paced)]
    flood = [(spaces[0], f"flood-{n}") for n in range(waiting)]
    singles = [(space, "single") for space in spaces[1 : 1 + SINGLES]]
    left = figures.builds - len(paced_names) - len(flood) - len(singles)
    rest = [(spaces[n % len(spaces)], f"app-{n}") for n in range(max(left, 0))]
    async with Api(plane.url, plane.token) as api:
        builds = Builds(api)
        await builds.namespaces(spaces)
        async with builds.watched():
            before, begun = operator.cpu, time.monotonic()
            _say(f"{len(paced_names)} one by one")
            await builds.create(paced_names, per_second=PER_SECOND)
            await builds.wait(paced_names, seconds=LONGEST_SECONDS)
            figures.start = builds.seen.until_job(paced_names)
            _say(f"{len(flood)} in one namespace, then {len(singles)} in others")
            await builds.create(flood)
            await builds.create(singles, per_second=0.5)
            await builds.wait(singles, seconds=LONGEST_SECONDS)
            figures.fair = builds.seen.until_job(singles)
            _say(f"{len(rest)} in all namespaces")
            seen = builds.seen
            figures.slot = sorted(seen.ended[name] - seen.job[name] for name in flood if name in seen.ended)
            await builds.create(rest)
            await builds.wait([*flood, *rest], seconds=LONGEST_SECONDS)
            figures.through = time.monotonic() - begun
            figures.cpu, figures.peak = operator.cpu - before, operator.peak
            figures.jobs = builds.seen.jobs
            found = requests(plane)
    figures.kinds = by_kind([each for each in found if each.verb != "watch"])
    figures.writes = Counter(
        (each.namespace, each.name) for each in found if each.resource == "imagebuilds/status"
    )


async def idle(plane: ControlPlane, operator: Operator, figures: Figures, seconds: float) -> None:
    """Count requests while nothing happens."""
    _say("nothing")
    await asyncio.sleep(10)  # what the last builds leave to do
    count, cpu = len(requests(plane)), operator.cpu
    await asyncio.sleep(seconds)  # what is measured
    figures.idle = (len(requests(plane)) - count) / seconds
    figures.idle_cpu = (operator.cpu - cpu) / seconds
    figures.peak = max(figures.peak, operator.peak)


async def restart(plane: ControlPlane, operator: Operator, figures: Figures) -> None:
    """Make one build with an operator that was just started."""
    _say("a restart")
    begun, before = time.monotonic(), by_kind(requests(plane))
    figures.ready = operator.seconds
    async with Api(plane.url, plane.token) as api:
        builds = Builds(api)
        async with builds.watched():
            name = ("team-1", "after-restart")
            await builds.create([name])
            await builds.wait([name], seconds=LONGEST_SECONDS)
            figures.again = operator.seconds + builds.seen.job[name] - begun
    await asyncio.sleep(30)  # what a restart has it look at
    figures.peak_again, figures.settling = operator.peak, by_kind(requests(plane)) - before


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what} …", file=sys.stderr, flush=True)
