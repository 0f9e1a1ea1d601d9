"""Where the builder says what it is doing: events of `strake_api.events`, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

from strake_api.events import (
    CacheMountMoved,
    ContextProgress,
    Event,
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
from strake_api.reasons import ProgressReason
from strake_api.result import BuildWarning, Isolation
from strake_builder.errors import redact

Sink = Callable[[Event], None]

INSTRUCTION_SHOWN: Final = 200
"""Characters of an instruction in an event."""


class Reporter:
    """Hands events to a sink, one at a time. Thread-safe.

    Args:
        sink: gets every event; it must not raise.

    Attributes:
        warnings: every warning so far, for the result.
        arrived_bytes: bytes of the layers that were read from registries so far, compressed.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self.warnings: list[BuildWarning] = []
        self.arrived_bytes = 0
        self._platform = ""

    def begin_platform(self, platform: str) -> None:
        """Steps from now on are for this platform, one of several: stages are called by it, too."""
        self._platform = f"{platform} "

    def emit(self, event: Event) -> None:
        """Pass an event on."""
        with self._lock:
            self._sink(event)

    def isolation(self, isolation: Isolation) -> None:
        """It is settled how steps are kept apart."""
        self.emit(IsolationChosen(time=_now(), isolation=isolation))

    def phase(self, phase: ProgressReason) -> None:
        """The build as a whole entered another phase."""
        self.emit(PhaseStarted(time=_now(), phase=phase))

    def planned(self, steps: int) -> None:
        """The Dockerfile is read."""
        self.emit(Planned(time=_now(), steps=steps))

    def step_started(self, step: int, line: int, instruction: str, stage: str) -> None:
        """An instruction begins."""
        shown = _shorten(instruction)
        self.emit(
            StepStarted(time=_now(), step=step, line=line, instruction=shown, stage=self._platform + stage)
        )

    def step_cached(self, step: int, line: int, instruction: str, stage: str) -> None:
        """An instruction's result came from a cache."""
        shown = _shorten(instruction)
        self.emit(
            StepCached(time=_now(), step=step, line=line, instruction=shown, stage=self._platform + stage)
        )

    def step_finished(self, step: int, seconds: float) -> None:
        """An instruction ran to its end."""
        self.emit(StepFinished(time=_now(), step=step, seconds=round(seconds, 3)))

    def step_failed(self, step: int, seconds: float, exit_code: int | None) -> None:
        """An instruction failed."""
        self.emit(StepFailed(time=_now(), step=step, seconds=round(seconds, 3), exit_code=exit_code))

    def output(self, step: int, stream: str, text: str) -> None:
        """A step's command wrote a line."""
        kind = "stderr" if stream == "stderr" else "stdout"
        self.emit(OutputLine(time=_now(), step=step, stream=kind, text=text))

    def fetching(self, source: str, done: int, total: int | None) -> None:
        """So many bytes of a context are here; all of them where `total` is as much."""
        self.emit(ContextProgress(time=_now(), source=source, done=done, total=total))

    def pulled(self, image: str, done: int, total: int) -> None:
        """So many bytes of a base image are here."""
        self.emit(PullProgress(time=_now(), image=image, done=done, total=total))

    def arrived(self, size: int) -> None:
        """Count a layer that was read from a registry to its end."""
        with self._lock:
            self.arrived_bytes += size

    def pushing(self, repository: str, digest: str | None, done: int, total: int | None) -> None:
        """So many bytes of a blob went to a repository; without digest and total it is still being made."""
        self.emit(PushProgress(time=_now(), repository=repository, digest=digest, done=done, total=total))

    def pushed(self, repository: str, digest: str, size: int, *, transferred: bool) -> None:
        """A blob is at its destination."""
        event = LayerPushed(
            time=_now(), repository=repository, digest=digest, bytes=size, transferred=transferred
        )
        self.emit(event)

    def signed(self, repository: str, digest: str) -> None:
        """An image is signed in a repository."""
        self.emit(ImageSigned(time=_now(), repository=repository, digest=digest))

    def cache_mount(
        self, action: Literal["restored", "kept"], target: str, size: int, files: int, transferred: int
    ) -> None:
        """A cache mount came from the cache's repository, or is kept there; sizes in bytes."""
        self.emit(
            CacheMountMoved(
                time=_now(), action=action, target=target, bytes=size, files=files, transferred=transferred
            )
        )

    def warn(self, message: str, file: str | None = None, line: int | None = None) -> None:
        """Report once what deserves a look and does not stop the build, also if a step is made again."""
        warning = BuildWarning(message=message, file=file, line=line)
        with self._lock:
            if warning in self.warnings:
                return
            self.warnings.append(warning)
        self.emit(Warned(time=_now(), message=message, file=file, line=line))


def _now() -> datetime:
    return datetime.now(UTC)


def _shorten(instruction: str) -> str:
    line = redact(" ".join(instruction.split()))
    return line if len(line) <= INSTRUCTION_SHOWN else line[: INSTRUCTION_SHOWN - 1] + "…"
