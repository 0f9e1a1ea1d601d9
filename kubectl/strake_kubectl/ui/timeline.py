"""The steps of a run, with when each ran, from the lines of its log.

A log has no clock: a kept one has none at all. It tells when steps begin relative to the ends of others, and
how many seconds each took, so times count the work of steps alone: what passed between two steps is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from strake_api.events import StepCached, StepFinished, StepStarted
from strake_api.logs.lines import parse_log_line

_MOST: Final = 2000
"""Steps of a run. A Dockerfile has fewer; a log is another's text."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run.

    Attributes:
        number: Of the step, from 1.
        stage: Of the Dockerfile.
        instruction: On one line.
        cached: Whether its result came from a cache.
        start: Seconds of work of steps before it began.
        seconds: That it took; None while it runs, or where it did not end.
    """

    number: int
    stage: str
    instruction: str
    cached: bool
    start: float
    seconds: float | None

    @property
    def state(self) -> str:
        """In one word: cached, done, or open."""
        if self.cached:
            return "cached"
        return "open" if self.seconds is None else "done"


class Timeline:
    """Collects the steps of a run, a line at a time.

    A second attempt begins again with its first step; that of another part of the run has another title.
    """

    def __init__(self) -> None:
        self._steps: dict[int, Step] = {}
        self._clock = 0.0

    def add(self, line: str) -> None:
        """Read one line, without its end."""
        if not line.startswith("#"):
            if line.startswith("==> "):
                self._steps.clear()
                self._clock = 0.0
            return
        match parse_log_line(_NEVER, line):
            case StepCached(step=number, stage=stage, instruction=instruction):
                self._begin(
                    Step(number, stage or "", instruction, cached=True, start=self._clock, seconds=0.0)
                )
            case StepStarted(step=number, stage=stage, instruction=instruction):
                self._begin(
                    Step(number, stage or "", instruction, cached=False, start=self._clock, seconds=None)
                )
            case StepFinished(step=number, seconds=seconds) if number in self._steps:
                step = replace(self._steps[number], seconds=seconds)
                self._steps[number] = step
                self._clock = max(self._clock, step.start + seconds)
            case _:
                pass

    def _begin(self, step: Step) -> None:
        if step.number in self._steps or len(self._steps) < _MOST:
            self._steps[step.number] = step

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps so far, in their order."""
        return tuple(self._steps[number] for number in sorted(self._steps))

    @property
    def seconds(self) -> float:
        """Of work so far."""
        return self._clock
