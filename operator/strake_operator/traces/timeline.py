"""What happened when inside a builder: a fold over the events of its log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_api.events import PhaseStarted, StepCached, StepFinished, StepStarted

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.events import Event

MOST_STEPS: Final = 200
"""Steps of a run that are traced: its first ones."""
MOST_PHASES: Final = 20


@dataclass(slots=True)
class Step:
    """A step of the build."""

    number: int
    stage: str
    instruction: str
    began: datetime
    ended: datetime | None = None
    cached: bool = False


@dataclass(slots=True)
class Timeline:
    """The phases and steps of a builder, in the order of its log."""

    part: str = ""
    """The label of the part of a run that it is; empty for a run of one platform."""
    phases: list[tuple[str, datetime]] = field(default_factory=list)
    """Each phase with its begin; it lasts until the next."""
    steps: dict[int, Step] = field(default_factory=dict)
    left_out: int = 0
    """Steps beyond those that are traced."""
    began: datetime | None = None
    """The time of the first line."""
    ended: datetime | None = None
    """The time of the last line."""

    def line(self, time: datetime) -> None:
        """Take note of a line, of which the time is known."""
        self.began = self.began or time
        self.ended = max(self.ended or time, time)

    def event(self, event: Event) -> None:
        """Take note of what a line tells."""
        match event:
            case PhaseStarted() if len(self.phases) < MOST_PHASES:
                self.phases.append((event.phase, event.time))
            case StepStarted() | StepCached():
                self._step(event)
            case StepFinished():
                step = self.steps.get(event.step)
                if step is not None and step.ended is None:
                    step.ended = max(event.time, step.began)
            case _:
                return

    def _step(self, event: StepStarted | StepCached) -> None:
        if event.step in self.steps:
            return
        if len(self.steps) >= MOST_STEPS:
            self.left_out += 1
            return
        cached = isinstance(event, StepCached)
        self.steps[event.step] = Step(
            event.step,
            event.stage or "",
            event.instruction,
            event.time,
            event.time if cached else None,
            cached,
        )
