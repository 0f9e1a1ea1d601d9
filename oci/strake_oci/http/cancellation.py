"""Ends what is under way, from another thread than those that wait for it.

A registry may be silent for minutes and be right; a build that was stopped has no minutes. Closing a
connection under a thread that waits for it does not wake that thread, and its descriptor may be another
file's before the thread looks again. So each waiting thread registers a function that ends the wait.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAST_WORDS: Final = 0.5
"""Seconds after a stop in which a registry may still be told to forget an upload."""

SHORT_WORDS: Final = 1.0
"""Seconds that this may take where nothing was stopped."""


class _ThisThread(threading.local):
    """What holds for one thread."""

    until: float | None = None
    """When it is to be done with its last words; None if it has none to say."""


class Stopping:
    """Whether something is stopped, and how its waits end. Thread-safe.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped: float | None = None
        self._interrupts: set[Callable[[], object]] = set()
        self._here = _ThisThread()

    def stop(self) -> None:
        """End every wait, now and from now on."""
        with self._lock:
            if self._stopped is None:
                self._stopped = self._clock()
            for interrupt in self._interrupts:
                interrupt()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped is not None

    def add(self, interrupt: Callable[[], object]) -> None:
        """Have a wait ended by a stop, at once if there was one. The function must not wait, nor raise."""
        with self._lock:
            self._interrupts.add(interrupt)
            if self._stopped is not None and self._here.until is None:
                interrupt()

    def discard(self, interrupt: Callable[[], object]) -> None:
        """Forget a wait; when this returns, its function is not called any more."""
        with self._lock:
            self._interrupts.discard(interrupt)

    def seconds(self, wanted: float | None) -> float | None:
        """Return how long this thread may wait now: as it wants, less, or (zero or below) not at all."""
        stopped, until = self._stopped, self._here.until
        if stopped is None and until is None:
            return wanted
        if until is None:
            return 0.0
        left = (until if stopped is None else min(until, stopped + LAST_WORDS)) - self._clock()
        return left if wanted is None else min(wanted, left)

    @contextlib.contextmanager
    def last_words(self) -> Iterator[None]:
        """Let this thread send something short that nobody should have to wait for, stopped or not."""
        self._here.until = self._clock() + SHORT_WORDS
        try:
            yield
        finally:
            self._here.until = None


@contextlib.contextmanager
def interruptible(stopping: Stopping | None, interrupt: Callable[[], object]) -> Iterator[None]:
    """Have what is done in the context ended by a stop, if anything can stop it."""
    if stopping is None:
        yield
        return
    stopping.add(interrupt)
    try:
        yield
    finally:
        stopping.discard(interrupt)
