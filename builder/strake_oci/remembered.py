"""Values that are costly to get and hold for a while: tokens, answers of credential helpers and clouds."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Remembers values until they expire. Thread-safe.

    While one thread gets a value, others that want the same one wait for it; other keys are not held up. A
    failure is not remembered.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._values: dict[K, tuple[V, float]] = {}
        self._locks: dict[K, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], tuple[V, float]], *, stale: V | None = None) -> V:
        """Return the value for a key.

        Args:
            key: What for.
            make: Gets it, with the seconds for which it may be used.
            stale: A value that turned out to be bad: it is not returned again.
        """
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            known = self._values.get(key)
            if known is not None and (stale is None or known[0] != stale) and self.clock() < known[1]:
                return known[0]
            begun = self.clock()
            value, lifetime = make()
            self._values[key] = (value, begun + lifetime)
            return value
