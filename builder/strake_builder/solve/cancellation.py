"""Stops a build: one flag that everything long looks at, with the reason."""

from __future__ import annotations

import threading
from collections.abc import Callable

from strake_builder.errors import BuildError


class Cancellation:
    """Thread-safe. The first reason counts.

    Args:
        whole: what this is a part of: it stops this, this does not stop it.
    """

    def __init__(self, whole: Cancellation | None = None) -> None:
        self._lock = threading.Lock()
        self._reason: BuildError | None = None
        self._callbacks: list[Callable[[], None]] = []
        if whole is not None:
            whole.on_cancel(lambda: self.cancel(whole.reason) if whole.reason else None)

    def cancel(self, reason: BuildError) -> None:
        """Stop the build for a reason; what was registered with `on_cancel` is called in this thread."""
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call something when the build is stopped, at once if it is already."""
        with self._lock:
            self._callbacks.append(callback)
            stopped = self._reason is not None
        if stopped:
            callback()

    def check(self) -> None:
        """Raise the reason if the build was stopped.

        Raises:
            BuildError: the reason.
        """
        if self._reason is not None:
            raise self._reason

    @property
    def reason(self) -> BuildError | None:
        """Why the build was stopped, or None."""
        return self._reason
