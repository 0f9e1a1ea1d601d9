"""What a build does at the moment: its events, folded, without anything that draws them.

What it keeps is bounded by what runs at the same time, however much steps write.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, assert_never

from strake_api.events import (
    CacheMountMoved,
    ContextProgress,
    Event,
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
from strake_api.text import visible, without_colours
from strake_builder.progress.transfer_lines import mount_name

TAIL: Final = 6
"""Lines of a step's output that are kept."""
_LINE: Final = 400
"""Characters of a line that are kept: what fits beside each other on a wide screen."""


@dataclass(slots=True)
class RunningStep:
    """An instruction that runs.

    Attributes:
        title: number, stage and instruction.
        began: seconds, of the view's clock.
        tail: the last lines that its command wrote, without colours.
    """

    title: str
    began: float
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))


@dataclass(slots=True)
class Moving:
    """Bytes on their way.

    Attributes:
        verb: fetch, pull or push.
        name: of what they are, or where they go.
        done: bytes so far.
        total: all of them, or None where nobody knows.
    """

    verb: str
    name: str
    done: int
    total: int | None


class BuildState:
    """What a build does at the moment. Not thread-safe.

    Attributes:
        phase: the phase in people's words.
        total: steps that will run or be taken from the cache.
        ended: steps of these that are done.
        running: by number, in the order in which they began.
        moving: by whatever tells one transfer from another.
    """

    def __init__(self, now: float) -> None:
        self.began = now
        self.phase = "starting"
        self.total = 0
        self.ended = 0
        self.running: dict[int, RunningStep] = {}
        self.moving: dict[tuple[str | int | None, ...], Moving] = {}

    def apply(self, event: Event, now: float) -> None:
        """Take an event in, which came at `now` seconds."""
        match event:
            case PhaseStarted():
                self.phase = PHASES.get(event.phase, self.phase)
            case Planned():
                self.total, self.ended = event.steps, 0  # of one platform after the other
            case StepStarted():
                title = f"#{event.step}/{self.total} [{event.stage}] {event.instruction}"
                self.running[event.step] = RunningStep(one_line(title), now)
            case OutputLine():
                if (step := self.running.get(event.step)) is not None:
                    step.tail.append(one_line(event.text))
            case StepCached():
                self.ended += 1
            case StepFinished() | StepFailed():
                self.running.pop(event.step, None)
                self.ended += 1
            case ContextProgress() | PullProgress() | PushProgress() | LayerPushed() | CacheMountMoved():
                self._move(event)
            case IsolationChosen() | ImageSigned() | Warned() | Finished():
                pass
            case _:
                assert_never(event)

    def _move(
        self, event: ContextProgress | PullProgress | PushProgress | LayerPushed | CacheMountMoved
    ) -> None:
        match event:
            case ContextProgress():
                self._moved(("fetch", event.source), event.source, event.done, event.total)
            case PullProgress():
                # The layers of one image come side by side; their sizes tell them apart.
                self._moved(("pull", event.image, event.total), event.image, event.done, event.total)
            case PushProgress():
                name = f"{event.repository}@{event.digest[:19]}…" if event.digest else event.repository
                key = ("push", event.repository, event.digest)
                self.moving[key] = Moving("push", one_line(name), event.done, event.total)
            case LayerPushed():
                # A blob has a digest from when it is made; until then it was pushed without one.
                self.moving.pop(("push", event.repository, event.digest), None)
                self.moving.pop(("push", event.repository, None), None)
            case CacheMountMoved():
                name = mount_name(event.target)
                self.moving = {key: each for key, each in self.moving.items() if key[1] != name}
            case _:
                assert_never(event)

    def _moved(self, key: tuple[str | int | None, ...], name: str, done: int, total: int | None) -> None:
        if total is not None and done >= total:
            self.moving.pop(key, None)
        else:
            self.moving[key] = Moving(str(key[0]), one_line(name), done, total)


def one_line(text: str) -> str:
    """Return the beginning of a text, such that a terminal obeys nothing in it and it stays on its line."""
    return visible(without_colours(text)[:_LINE].replace("\n", " ").replace("\t", " "))
