"""The steps of a run, with when each ran, from the lines of its log.

A log has no clock: a kept one has none at all. It tells when steps begin relative to the ends of others, and
how many seconds each took, so times count the work of steps alone: what passed between two steps is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from strake_api.events import StepCached, StepFinished, StepStarted
from strake_api.logs.lines import parse_log_line

_MOST: Final = 2000
"""Steps of a run, in all its sections. A Dockerfile has fewer; a log is another's text."""
_TITLE: Final = re.compile("==> (.{1,300}) <==")
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


@dataclass(frozen=True, slots=True)
class Section:
    """The steps of one pod: a part of a run for several platforms, or an attempt.

    Attributes:
        title: The part, or the pod; empty where a run has one.
        steps: In their order.
        seconds: Of their work.
    """

    title: str
    steps: tuple[Step, ...]
    seconds: float


class Timeline:
    """Collects the steps of a run, a line at a time.

    A line `==> TITLE <==` begins another section. One with the title of an earlier one, a second attempt,
    takes its place.
    """

    def __init__(self) -> None:
        self._title = ""
        self._ended: dict[str, Section] = {}
        self._steps: dict[int, Step] = {}
        self._clock = 0.0
        self._count = 0

    def add(self, line: str) -> None:
        """Read one line, without its end."""
        if not line.startswith("#"):
            if found := _TITLE.fullmatch(line):
                self._open(found[1])
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

    def _open(self, title: str) -> None:
        if self._steps:
            self._ended[self._title] = self._section()
        self._count -= len(self._ended.pop(title).steps) if title in self._ended else 0
        self._title, self._steps, self._clock = title, {}, 0.0

    def _begin(self, step: Step) -> None:
        if step.number not in self._steps:
            if self._count == _MOST:
                return
            self._count += 1
        self._steps[step.number] = step

    def _section(self) -> Section:
        return Section(self._title, tuple(self._steps[number] for number in sorted(self._steps)), self._clock)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Those that have steps so far, in the order of the log."""
        ended = tuple(self._ended.values())
        return (*ended, self._section()) if self._steps else ended
