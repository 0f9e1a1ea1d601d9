"""Writes events as lines of text, in the manner of `docker build --progress=plain`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TextIO, assert_never

from strake_api.events import (
    Event,
    Finished,
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
from strake_api.events import format_event as format_json

_INTERVAL: Final = 1.0
_UNIT: Final = 1000.0


class TextSink:
    """Writes one line an event.

    Args:
        stream: where to.
        clock: seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._total = 0
        self._last_pull: dict[str, float] = {}
        self._last_push: dict[tuple[str, str | None], float] = {}

    def __call__(self, event: Event) -> None:
        """Write an event, or nothing where it says nothing new to a person."""
        line = self._line(event)
        if line:
            self._stream.write(line + "\n")
            self._stream.flush()

    def _line(self, event: Event) -> str:  # noqa: C901 - one case an event
        match event:
            case Planned():
                self._total = event.steps
                return ""
            case StepStarted():
                return f"#{event.step}/{self._total} [{event.stage}] {event.instruction}"
            case StepCached():
                return f"#{event.step}/{self._total} [{event.stage}] {event.instruction}  CACHED"
            case StepFinished():
                return f"#{event.step} done in {event.seconds:.1f} s" if event.seconds >= _INTERVAL else ""
            case StepFailed():
                return f"#{event.step} FAILED after {event.seconds:.1f} s"
            case OutputLine():
                return f"#{event.step} | {event.text}"
            case PullProgress():
                return self._pull(event)
            case PushProgress():
                return self._push(event)
            case LayerPushed():
                how = "pushed" if event.transferred else "already there"
                return f"   {event.repository}@{event.digest[:19]}… {how} ({_size(event.bytes)})"
            case Warned():
                where = f"{event.file}:{event.line}: " if event.file and event.line else ""
                return f"warning: {where}{event.message}"
            case PhaseStarted() | Finished():
                return ""
            case _:
                assert_never(event)

    def _pull(self, event: PullProgress) -> str:
        now = self._clock()
        done = event.done >= event.total
        if not done and now - self._last_pull.get(event.image, 0.0) < _INTERVAL:
            return ""
        self._last_pull[event.image] = now
        amount = _size(event.total) if done else f"{_size(event.done)} of {_size(event.total)}"
        return f"   {event.image}: pulled {amount}"

    def _push(self, event: PushProgress) -> str:
        now, blob = self._clock(), (event.repository, event.digest)
        # What takes less than a second is told of by its end alone.
        if now - self._last_push.setdefault(blob, now) < _INTERVAL:
            return ""
        self._last_push[blob] = now
        where = f"{event.repository}@{event.digest[:19]}…" if event.digest else event.repository
        amount = _size(event.done) + (f" of {_size(event.total)}" if event.total is not None else "")
        return f"   {where}: pushing, {amount}"


class JsonSink:
    """Writes one JSON object an event, for the operator and other programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._stream.write(format_json(event) + "\n")
        self._stream.flush()


def _size(count: int) -> str:
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < _UNIT:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _UNIT
    return f"{value:.2f} GB"
