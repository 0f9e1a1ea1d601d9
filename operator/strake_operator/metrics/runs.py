"""Numbers about runs: how many ended in which way, how long they were in which phase, what caches gave.

Labels are bounded: phases and reasons are closed lists, of namespaces so many have a series of their own.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge, Histogram

from strake_api.reasons import ProgressReason
from strake_api.status import Phase
from strake_operator.image_sizes import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from strake_api.status import ImageBuildStatus

MOST_NAMESPACES: Final = 500
"""Namespaces with series of their own; later ones are counted together."""
OTHERS: Final = "(others)"
_SECONDS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_ENDED: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED})

Build = tuple[str, str]
"""Namespace and name of an ImageBuild."""


class RunMetrics:
    """The numbers about runs.

    Args:
        registry: Where they are exposed.
        clock: Seconds, which never go back.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._namespaces: set[str] = set()
        self._entered: dict[Build, tuple[Phase, float]] = {}
        self._ended = Counter(
            "strake_runs", "Runs that ended.", ["namespace", "phase", "reason"], registry=registry
        )
        self._seconds = Histogram(
            "strake_run_seconds",
            "From the start of a run to its end.",
            ["phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._phases = Histogram(
            "strake_run_phase_seconds",
            "How long runs were in a phase.",
            ["phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._open = Gauge(
            "strake_runs_open", "Runs that have not ended, by phase.", ["phase"], registry=registry
        )
        self._steps = Counter(
            "strake_steps",
            "Steps of runs that ended, by where their results came from: run or cache.",
            ["source"],
            registry=registry,
        )

        self._bytes = Counter(
            "strake_image_bytes",
            "Bytes of layers that runs which succeeded pulled and pushed, compressed.",
            ["direction"],
            registry=registry,
        )

    def changed(self, build: Build, before: ImageBuildStatus, after: ImageBuildStatus) -> None:
        """Take note of a status that was written."""
        is_over = after.phase in _ENDED
        self._enter(build, None if is_over else after.phase)
        if is_over and (before.phase, before.completion_time) != (after.phase, after.completion_time):
            self._end(build[0], after)

    def forget(self, build: Build) -> None:
        """Take note of an ImageBuild that is gone."""
        self._enter(build, None)

    def _enter(self, build: Build, phase: Phase | None) -> None:
        now = self._clock()
        last, since = self._entered.get(build, (None, now))
        if last == phase:
            return
        if last is not None:
            self._phases.labels(last.value).observe(now - since)
            self._open.labels(last.value).dec()
        if phase is None:
            self._entered.pop(build, None)
        else:
            self._entered[build] = phase, now
            self._open.labels(phase.value).inc()

    def _end(self, namespace: str, status: ImageBuildStatus) -> None:
        phase = (status.phase or Phase.FAILED).value
        reason = status.failure.reason if status.failure else ProgressReason.PUSHED
        self._ended.labels(self._bounded(namespace), phase, reason).inc()
        if status.start_time and status.completion_time:
            started, ended = map(datetime.fromisoformat, (status.start_time, status.completion_time))
            self._seconds.labels(phase).observe(max(0.0, (ended - started).total_seconds()))
        if status.steps is not None:
            self._steps.labels("cache").inc(status.steps.cached)
            self._steps.labels("run").inc(max(0, status.steps.done - status.steps.cached))
        if status.sizes is not None:
            # A status may be written by hand: counters only grow.
            self._bytes.labels("pulled").inc(min(max(0, status.sizes.pulled), MOST_BYTES))
            self._bytes.labels("pushed").inc(min(max(0, status.sizes.pushed), MOST_BYTES))

    def _bounded(self, namespace: str) -> str:
        if namespace in self._namespaces or len(self._namespaces) < MOST_NAMESPACES:
            self._namespaces.add(namespace)
            return namespace
        return OTHERS
