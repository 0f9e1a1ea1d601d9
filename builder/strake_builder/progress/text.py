"""Writes events as lines of text, in the manner of `docker build --progress=plain`, or as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final, TextIO, assert_never

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
from strake_api.events import format_event as format_json
from strake_api.logs.lines import LINE_BYTES, phase_line, steps_line
from strake_api.result import BuildFailed, BuildSucceeded, Isolation
from strake_api.text import without_colours
from strake_builder.progress.style import LogStyle
from strake_builder.progress.summary import summary_lines
from strake_builder.progress.transfer_lines import TransferLines, mount_line

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
        style: how the lines look.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        style: LogStyle | None = None,
    ) -> None:
        self._stream = stream
        self._style = style or LogStyle()
        self._total = 0
        self._transfers = TransferLines(clock)

    def __call__(self, event: Event) -> None:
        """Write an event, or nothing where it says nothing new to a person."""
        line = self._line(event) or (self._detail(event) if self._style.shows("debug") else "")
        if not line or not self._style.shows(_level(event)):
            return
        if self._style.plain:
            line = without_colours(line)
        elif self._style.colours:
            line = _painted(event, line)
        if self._style.times:
            moment = f"{event.time:%Y-%m-%dT%H:%M:%SZ} "
            line = moment + line.replace("\n", f"\n{moment}")
        self._stream.write(line + "\n")
        self._stream.flush()

    def _detail(self, event: Event) -> str:
        """Return the line of an event that only who looks for a fault wants to see."""
        match event:
            case PhaseStarted():
                return phase_line(event.phase)
            case IsolationChosen():
                return _isolation_line(event.isolation)
            case StepFinished():
                return f"#{event.step} done in {event.seconds:.1f} s"
            case _:
                return ""

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
            case ContextProgress():
                return self._transfers.fetching(event.source, event.done, event.total)
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
            case CacheMountMoved():
                return mount_line(event.action, event.target, event.bytes, event.files, event.transferred)
            case Warned():
                where = f"{event.file}:{event.line}: " if event.file and event.line else ""
                return f"warning: {where}{event.message}"
            case Finished():
                return "\n".join(summary_lines(event.result))
            case PhaseStarted() | IsolationChosen():
                return ""
            case _:
                assert_never(event)


def _level(event: Event) -> str:
    match event:
        case StepFailed():
            return "error"
        case Warned():
            return "warn"
        case PhaseStarted() | IsolationChosen():
            return "debug"
        case _:
            return "info"


def _painted(event: Event, line: str) -> str:
    """Return a line in the colour of its kind; a step's own output has its own."""
    colour = ""
    match event:
        case StepStarted():
            colour = "36"
        case StepCached():
            colour = "32"
        case StepFailed():
            colour = "31"
        case Warned():
            colour = "33"
        case _:
            pass
    return f"\x1b[{colour}m{line}\x1b[0m" if colour else line


class LogSink(TextSink):
    """Writes the log of a pod: text for people, from which the operator reads progress.

    Each event has a line, and no line is anything but what it begins like: see `strake_api.logs.lines`.
    """

    def __call__(self, event: Event) -> None:
        """Write an event."""
        line = self._line(event)
        if line:
            if self._style.plain:
                line = without_colours(line)
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
        if len(line) > _ROOM // 4:
            line = without_colours(line)  # noqa: PLW2901 - a piece must not end inside a sequence
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
        if isinstance(event, OutputLine):
            event = event.model_copy(update={"text": without_colours(event.text)})
        self._stream.write(format_json(event) + "\n")
        self._stream.flush()
