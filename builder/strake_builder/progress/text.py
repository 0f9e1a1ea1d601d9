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
from strake_builder.progress.transfer_lines import TransferLines

_LONG: Final = 1.0
"""Seconds that a step took."""


class TextSink:
    """Writes one line an event.

    Args:
        stream: where to.
        clock: seconds, monotonic.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._total = 0
        self._transfers = TransferLines(clock)

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
                return f"#{event.step} done in {event.seconds:.1f} s" if event.seconds >= _LONG else ""
            case StepFailed():
                return f"#{event.step} FAILED after {event.seconds:.1f} s"
            case OutputLine():
                return f"#{event.step} | {event.text}"
            case PullProgress():
                return self._transfers.pulled(event.image, event.done, event.total)
            case PushProgress():
                return self._transfers.pushing(event.repository, event.digest, event.done, event.total)
            case LayerPushed():
                return self._transfers.pushed(
                    event.repository, event.digest, event.bytes, transferred=event.transferred
                )
            case Warned():
                where = f"{event.file}:{event.line}: " if event.file and event.line else ""
                return f"warning: {where}{event.message}"
            case PhaseStarted() | Finished():
                return ""
            case _:
                assert_never(event)


class JsonSink:
    """Writes one JSON object an event, for the operator and other programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._stream.write(format_json(event) + "\n")
        self._stream.flush()
