"""From the builder's events to one line about what runs: a fold, so that a restart starts it anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, assert_never

from strake_api.events import (
    CacheMountMoved,
    ContextProgress,
    Finished,
    ImageSigned,
    IsolationChosen,
    LayerPushed,
    OutputLine,
    PhaseStarted,
    Planned,
    PullProgress,
    PushProgress,
    StepCached,
    StepFailed,
    StepFinished,
    StepStarted,
    Warned,
)
from strake_api.logs.lines import PHASES
from strake_api.reasons import ProgressReason
from strake_api.status import Phase

if TYPE_CHECKING:
    from strake_api.events import Event

_PHASES = {
    ProgressReason.FETCHING_SOURCE: Phase.FETCHING,
    ProgressReason.PULLING_BASE: Phase.PULLING,
    ProgressReason.BUILDING: Phase.BUILDING,
    ProgressReason.PUSHING: Phase.PUSHING,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running build is."""

    phase: Phase = Phase.PENDING
    reason: ProgressReason = ProgressReason.POD_PENDING
    text: str = "the builder starts"
    step: str = ""
    """The step that started last."""
    total: int = 0
    done: int = 0
    cached: int = 0

    def after(self, event: Event) -> Progress:
        """Return the progress after one more event."""
        match event:
            case PhaseStarted():
                phase, text = _PHASES.get(event.phase, self.phase), PHASES.get(event.phase, self.text)
                return replace(self, phase=phase, reason=event.phase, text=text)
            case Planned():
                return replace(self, total=event.steps)
            case StepStarted():
                return replace(self, text=self._step(event), step=self._step(event))
            case StepCached():
                step = self._step(event)
                return replace(self, done=self.done + 1, cached=self.cached + 1, text=step, step=step)
            case StepFinished():
                return replace(self, done=self.done + 1)
            case ContextProgress() | PullProgress():
                return self._arriving(event)
            case PushProgress():
                # Before the phase of pushing, layers go out beside the steps, which are what counts.
                if self.phase is not Phase.PUSHING or event.total is None:
                    return self
                return replace(self, text=f"pushing {event.repository}: {_share(event.done, event.total)}")
            case (
                IsolationChosen()
                | StepFailed()
                | OutputLine()
                | LayerPushed()
                | ImageSigned()
                | CacheMountMoved()
                | Warned()
                | Finished()
            ):
                return self
            case _:
                assert_never(event)

    def _arriving(self, event: ContextProgress | PullProgress) -> Progress:
        arrived = event.total is not None and event.done >= event.total
        if isinstance(event, ContextProgress):
            before = PHASES.get(self.reason, self.text)
            what = f"fetching {event.source}"
        else:
            before, what = self.text, f"pulling {event.image}"
        # A base image is pulled when the first step needs its files: that step then goes on.
        text = (self.step or before) if arrived else f"{what}: {_share(event.done, event.total)}"
        return replace(self, text=text)

    def _step(self, event: StepStarted | StepCached) -> str:
        return f"[{event.step}/{self.total or '?'}] {event.instruction}"


def _share(done: int, total: int | None) -> str:
    return f"{done / 1e6:.0f} MB" if total is None else f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
