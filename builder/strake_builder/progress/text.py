"""Writes events as lines of text, in the manner of `docker build --progress=plain`, or as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO, assert_never

from strake_api.events import (
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
from strake_api.events import format_event as format_json
from strake_api.log_lines import LINE_BYTES, phase_line, steps_line
from strake_api.result import BuildFailed, BuildSucceeded, Isolation
from strake_builder.progress.transfer_lines import TransferLines

_LONG: Final = 1.0
"""Seconds that a step took."""
_FURTHER: Final = "  | "
_ROOM: Final = LINE_BYTES - 64
"""What is left of a line beside its beginning and its end."""


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

    def _line(self, event: Event) -> str:  # noqa: C901, PLR0912 - one case an event
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
            case ImageSigned():
                return self._transfers.signed(event.repository, event.digest)
            case Warned():
                where = f"{event.file}:{event.line}: " if event.file and event.line else ""
                return f"warning: {where}{event.message}"
            case PhaseStarted() | Finished() | IsolationChosen():
                return ""
            case _:
                assert_never(event)


class LogSink(TextSink):
    """Writes the log of a pod: text for people, from which the operator reads progress.

    Each event has a line, and no line is anything but what it begins like: see `strake_api.log_lines`.
    """

    def __call__(self, event: Event) -> None:
        """Write an event."""
        line = self._line(event)
        if line:
            further = f"#{event.step} | " if isinstance(event, OutputLine) else _FURTHER
            self._stream.write("".join(f"{each}\n" for each in _pieces(line, further)))
            self._stream.flush()

    def _line(self, event: Event) -> str:
        match event:
            case PhaseStarted():
                return phase_line(event.phase)
            case IsolationChosen():
                return _isolation_line(event.isolation)
            case Planned():
                super()._line(event)
                return steps_line(event.steps)
            case StepFinished():
                return f"#{event.step} done in {event.seconds:.1f} s"
            case Finished():
                return _end(event.result)
            case _:
                return super()._line(event)


def _isolation_line(isolation: Isolation) -> str:
    proc = "" if isolation.own_proc else ", with the container's /proc"
    reason = f": {isolation.reason}" if isolation.reason else ""
    return f"== isolation {isolation.kind}{proc}{reason}"


def _end(result: BuildSucceeded | BuildFailed) -> str:
    if isinstance(result, BuildFailed):
        where = f"{result.file}:{result.line}: " if result.file and result.line else ""
        return f"error: {where}{result.message}"
    return f"== done: {result.digest}" if result.digest else "== done"


def _pieces(text: str, further: str) -> Iterator[str]:
    """Yield a text as lines of at most `LINE_BYTES`; all but the first begin with `further`."""
    start = ""
    for line in text.split("\n"):
        # A character has up to four bytes.
        size = len(line) or 1 if len(line.encode()) <= _ROOM else _ROOM // 4
        for at in range(0, len(line) or 1, size):
            yield start + line[at : at + size]
            start = further


class JsonSink:
    """Writes one JSON object an event, for programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._stream.write(format_json(event) + "\n")
        self._stream.flush()
