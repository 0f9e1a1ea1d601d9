"""Values that are costly to get and hold for a while: tokens, answers of credential helpers and clouds."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """Remembers values until they expire. Thread-safe.

    While one thread gets a value, others that want the same one wait for it and share it, or its failure;
    other keys are not held up. A failure is not remembered beyond that.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._values: dict[K, tuple[V, float]] = {}
        self._under_way: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], tuple[V, float]], *, stale: V | None = None) -> V:
        """Return the value for a key.

        Args:
            key: What for.
            make: Gets it, with the seconds for which it may be used.
            stale: A value that turned out to be bad: it is not returned again.
        """
        with self._lock:
            known = self._values.get(key)
            if known is not None and (stale is None or known[0] != stale) and self.clock() < known[1]:
                return known[0]
            others = self._under_way.get(key)
            if others is None:
                mine = self._under_way[key] = Future()
        if others is not None:
            return others.result()
        begun = self.clock()
        try:
            value, lifetime = make()
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self._values[key] = (value, begun + lifetime)
            del self._under_way[key]
        mine.set_result(value)
        return value
