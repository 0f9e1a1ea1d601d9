"""The phases of a build: announced, timed, and not begun when the build is stopped; and its deadline."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from strake_api.reasons import ProgressReason
from strake_api.result import Durations
from strake_builder.errors import BuildTimeoutError
from strake_builder.progress.reporter import Reporter
from strake_oci.cancellation import Cancellation


class Phases:
    """Times the phases of one build, which may be entered more than once.

    Args:
        reporter: hears of each.
        cancellation: asked before each.
    """

    def __init__(self, reporter: Reporter, cancellation: Cancellation) -> None:
        self._reporter = reporter
        self._cancellation = cancellation
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._last: ProgressReason | None = None

    @contextlib.contextmanager
    def entered(self, reason: ProgressReason, name: str) -> Iterator[None]:
        """Be in a phase; `name` is its field in the durations of the result."""
        self._cancellation.check()
        if reason is not self._last:
            self._reporter.phase(reason)
        self._last = reason
        started = time.monotonic()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - started

    def durations(self) -> Durations:
        """Return the wall-clock seconds of the phases, and in total until now."""
        seconds = {**self._seconds, "total": time.monotonic() - self._began}
        return Durations(**{name: round(value, 3) for name, value in seconds.items()})


@contextlib.contextmanager
def deadline(seconds: int | None, cancellation: Cancellation) -> Iterator[None]:
    """Cancel what goes on in the context when it takes longer than this; None is no limit."""
    if seconds is None:
        yield
        return
    error = BuildTimeoutError(f"the build did not finish within {seconds} s", hint="raise the timeout")
    timer = threading.Timer(seconds, cancellation.cancel, [error])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
