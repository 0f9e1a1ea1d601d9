"""Traces runs that ended: reads the builder's log once more, and hands the spans on.

Nothing is kept over a restart: a run that ends while no operator acts is traced by the next one, and what
was on its way is lost, as with any telemetry.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from strake_api.logs.lines import is_output, parse_log_line
from strake_operator.errors import ClusterError
from strake_operator.handlers.pace import Pace
from strake_operator.reconcile.ends.untold import newly_ended
from strake_operator.reconcile.runs import number_of
from strake_operator.status.ending import is_over
from strake_operator.traces.spans import Traced, spans
from strake_operator.traces.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from strake_api.status import ImageBuildStatus
    from strake_operator.handlers.queue import Key
    from strake_operator.reconcile.observed import Build, BuilderRun, Observation
    from strake_operator.traces.spans import Span

logger = logging.getLogger(__name__)

MOST_READS: Final = 4
"""Logs that are read at a time."""
MOST_WAITING: Final = 100
"""Runs that wait for that; later ones are traced without phases and steps."""
READ_SECONDS: Final = 30.0
LINES_PER_SECOND: Final = 50_000
MOST_LINES: Final = 1_000_000
_TURN: Final = 1000


class Sends(Protocol):
    """Where spans go."""

    def send(self, spans: Iterable[Span]) -> None:
        """Take the spans of a trace."""


class Tracing:
    """Traces runs.

    Args:
        lines: Yields the lines of a pod's log, given its namespace and name; each begins with its time.
        target: Where spans go.
    """

    def __init__(self, lines: Callable[[str, str], AsyncGenerator[bytes]], target: Sends) -> None:
        self._lines = lines
        self._target = target
        self._turn = asyncio.Semaphore(MOST_READS)
        self._pace = Pace(LINES_PER_SECOND)
        self._tasks: set[asyncio.Task[None]] = set()
        self._requested: dict[Key, tuple[str, int, datetime]] = {}
        """The run of a build that has not ended: UID, number, and when it was asked for."""

    def reported(self, key: Key, seen: Observation, status: ImageBuildStatus) -> None:
        """Take note of a status that was written: a run that is asked for, or one that ended."""
        build = seen.build
        for number in newly_ended(build.status, status):
            run = next(each for each in status.history or () if (each.number or each.generation) == number)
            uid, noted, moment = self._requested.get(key, (None, None, None))
            requested = moment if (uid, noted) == (build.uid, number) else None
            traced = Traced(build.namespace, build.name, build.uid, run, requested)
            self._trace(traced, _pods_to_read(each for each in seen.runs if each.number == number))
        if is_over(status):
            self._requested.pop(key, None)
        else:
            self._note(key, build, status)

    def _note(self, key: Key, build: Build, status: ImageBuildStatus) -> None:
        """Keep since when a run waits: its status tells until it starts."""
        if status.queue is None:
            return
        with contextlib.suppress(ValueError):  # of a status that was written by hand
            since = datetime.fromisoformat(status.queue.since)
            self._requested[key] = (build.uid, number_of(status), since)

    def forget(self, key: Key) -> None:
        """Drop what is known of a build that is gone."""
        self._requested.pop(key, None)

    def _trace(self, traced: Traced, pods: Mapping[str, str]) -> None:
        task = asyncio.create_task(self._read_and_send(traced, pods, full=len(self._tasks) >= MOST_WAITING))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_and_send(self, traced: Traced, pods: Mapping[str, str], *, full: bool) -> None:
        timelines = [Timeline(part=part) for part in pods]
        for timeline in () if full else timelines:
            try:
                async with self._turn, asyncio.timeout(READ_SECONDS):
                    await self._read(traced.namespace, pods[timeline.part], timeline)
            except (ClusterError, TimeoutError) as error:
                logger.debug("the trace of %s/%s lacks steps: %s", traced.namespace, traced.name, error)
        try:
            self._target.send(spans(traced, *timelines))
        except Exception:
            # A mistake with telemetry must not end what else there is.
            logger.exception("run %s of %s/%s is not traced", traced.number, traced.namespace, traced.name)

    async def _read(self, namespace: str, pod: str, timeline: Timeline) -> None:
        count = 0
        async with contextlib.aclosing(self._lines(namespace, pod)) as lines:
            async for line in lines:
                count += 1
                if count % _TURN == 0:
                    await self._pace.take(_TURN)
                if count > MOST_LINES:
                    return
                stamp, _, text = line.partition(b" ")
                time = _moment(stamp)
                if time is None:
                    continue
                timeline.line(time)
                if is_output(text):
                    continue
                event = parse_log_line(time, text.decode(errors="replace"))
                if event is not None:
                    timeline.event(event)

    async def close(self) -> None:
        """Stop tracing: what is on its way is lost."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _pods_to_read(runs: Iterable[BuilderRun]) -> dict[str, str]:
    """Return the pods whose logs tell of a run, by the part that each is: of each the latest attempt's."""
    found: dict[str, str] = {}
    for each in sorted(runs, key=lambda each: each.created):
        if each.pod is not None:
            found[each.part or ""] = each.pod.name
    return found


def _moment(stamp: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
