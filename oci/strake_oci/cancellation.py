"""Ends what is under way, from another thread than those that do it, and tells why.

What runs long asks a token whether it goes on (`check`); what waits registers a function that ends the wait
(`on_cancel`). Tokens make a tree: a build, its attempts, its downloads, its registry clients. Cancelling one
cancels what it is made of, and nothing else.
"""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancellation:
    """Whether something is cancelled, and the reason. Thread-safe; the first reason counts.

    Args:
        parent: What this is a part of: it cancels this, this does not cancel it.
    """

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._lock = threading.Lock()
        self._event = threading.Event()
        self._reason: Exception | None = None
        self._moment: float | None = None
        self._callbacks: list[_Callback] = []
        if parent is not None:
            parent.on_cancel(self.cancel)

    @property
    def reason(self) -> Exception | None:
        """Why it was cancelled, or None."""
        return self._reason

    @property
    def moment(self) -> float | None:
        """When it was cancelled, in seconds of the monotonic clock, or None."""
        return self._moment

    def check(self) -> None:
        """Raise the reason if this was cancelled.

        Raises:
            Exception: The reason.
        """
        if self._reason is not None:
            raise self._reason

    def wait(self, seconds: float) -> bool:
        """Sleep until this is cancelled, at most so long; return whether it was."""
        return self._event.wait(seconds)

    def cancel(self, reason: Exception) -> None:
        """Cancel this for a reason; what was registered with `on_cancel` is called in this thread."""
        with self._lock:
            if self._reason is not None:
                return
            self._moment = time.monotonic()
            self._reason = reason
            callbacks = list(self._callbacks)
        self._event.set()
        for callback in callbacks:  # without the lock: they may cancel other tokens, also the parent
            callback(reason)

    def on_cancel(self, function: Callable[[Exception], object]) -> Callable[[], None]:
        """Have a function called with the reason when this is cancelled, at once if it was.

        Returns:
            What takes that back: afterwards the function is not running and is not called any more.
        """
        callback = _Callback(function)
        with self._lock:
            self._callbacks.append(callback)
            reason = self._reason
        if reason is not None:
            callback(reason)
        return partial(self._take_back, callback)

    def _take_back(self, callback: _Callback) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._callbacks.remove(callback)
        callback.disarm()

    @contextlib.contextmanager
    def ending(self, function: Callable[[], object]) -> Iterator[None]:
        """Have what is done in the context ended by a function when this is cancelled."""
        take_back = self.on_cancel(lambda _: function())
        try:
            yield
        finally:
            take_back()


class _Callback:
    """A function that may be disarmed while another thread is about to call it."""

    def __init__(self, function: Callable[[Exception], object]) -> None:
        self._function: Callable[[Exception], object] | None = function
        self._lock = threading.RLock()  # a function may take itself back

    def __call__(self, reason: Exception) -> None:
        with self._lock:
            if self._function is not None:
                self._function(reason)

    def disarm(self) -> None:
        with self._lock:
            self._function = None
