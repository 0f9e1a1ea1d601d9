"""Shows on a terminal what a build does at the moment, and above it, as lines, what is done.

Events only change what is to be drawn; a thread draws it ten times a second. So a step that writes a million
lines costs no more than one that writes ten, and a terminal that stands still (Ctrl+S) holds no build up.

The cursor is never hidden: a builder that the kernel kills shows nobody's cursor again.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from strake_api.events import (
    ContextProgress,
    Event,
    Finished,
    OutputLine,
    PhaseStarted,
    PullProgress,
    PushProgress,
    StepFailed,
    StepFinished,
    StepStarted,
)
from strake_builder.progress.live.frame import frame
from strake_builder.progress.live.state import BuildState
from strake_builder.progress.style import LogStyle
from strake_builder.progress.text import TextSink

_BETWEEN: Final = 0.1
"""Seconds between two frames."""


class LiveSink:
    """Draws events. Thread-safe.

    Args:
        stream: the terminal.
        style: how lines look.
        clock: seconds, monotonic.
        between: seconds between two frames; None where the caller draws.
    """

    def __init__(
        self,
        stream: TextIO,
        style: LogStyle,
        clock: Callable[[], float] = time.monotonic,
        between: float | None = _BETWEEN,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._between = between
        self._console = _Console(
            file=stream,
            force_terminal=True,
            force_interactive=True,
            no_color=style.plain,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )
        self._live = Live(
            "",
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._state = BuildState(clock())
        self._text = io.StringIO()
        self._lines = _Lines(self._text, clock, style)
        self._changing = threading.Lock()
        self._drawing = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        """Take an event in. The first phase begins to draw: what is written before it is no event."""
        with self._changing:
            self._state.apply(event, self._clock())
            self._lines(event)
        if isinstance(event, Finished):
            self._end()
        elif isinstance(event, PhaseStarted) and self._thread is None and self._between is not None:
            self._thread = threading.Thread(target=self._draw_on, name="live view", daemon=True)
            self._thread.start()

    def draw(self) -> None:
        """Write the lines that are new, and what happens now below them."""
        with self._drawing:
            self._live.start()
            width, height = _size(self._stream)
            self._console.size = (width, height)
            with self._changing:
                rows = frame(self._state, self._clock(), width, height)
                text = self._taken()
            with self._console:  # all of it is one write
                self._print(text)
                self._live.update(rows, refresh=True)

    def _draw_on(self) -> None:
        # A terminal that is gone (SIGHUP ends the build) or a frame that cannot be drawn is no failure of a
        # build: it goes on unseen, and its lines come at the end.
        with contextlib.suppress(Exception):
            while not self._ended.wait(self._between):  # the pace of frames, ended at once by the last event
                self.draw()

    def _end(self) -> None:
        """Take away what was drawn, and write the lines that are left."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with self._drawing, self._changing, contextlib.suppress(OSError):
            if self._live.is_started:
                self._live.update(Text(""))
                self._live.stop()
            self._print(self._taken())

    def _taken(self) -> str:
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text

    def _print(self, text: str) -> None:
        if text:
            self._console.print(Text.from_ansi(text), soft_wrap=True)


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT002 - as rich has it
        """Leave the cursor as it is."""
        return False


class _Lines(TextSink):
    """Writes what is done: a line a step, none of its output, and none of bytes that are on their way."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], style: LogStyle) -> None:
        super().__init__(stream, clock, style)
        self._titles: dict[int, str] = {}

    def _line(self, event: Event) -> str:
        match event:
            case OutputLine() | ContextProgress() | PullProgress() | PushProgress():
                return ""
            case StepStarted():
                self._titles[event.step] = super()._line(event)
                return ""
            case StepFinished():
                return f"{self._title(event.step)}  {event.seconds:.1f} s"
            case StepFailed():
                return f"{self._title(event.step)}  FAILED after {event.seconds:.1f} s"
            case _:
                return super()._line(event)

    def _title(self, step: int) -> str:
        return self._titles.pop(step, f"#{step}")


def _size(stream: TextIO) -> tuple[int, int]:
    """Return columns and rows of a terminal, which a pseudo-terminal may not have."""
    try:
        found = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return 80, 24
    return found.columns or 80, found.lines or 24
