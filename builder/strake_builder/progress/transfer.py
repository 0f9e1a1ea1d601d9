"""Counts the bytes of a blob on its way, and tells of them now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_EVERY: Final = 4 << 20
_INTERVAL: Final = 1.0
"""Seconds: what comes slowly is told of as well."""


class Transfer:
    """Takes numbers of bytes as they come. Not thread-safe.

    Attributes:
        done: bytes so far.

    Args:
        report: called with the bytes so far, every few MiB and about every second.
        end: bytes at which it is called as well.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        report: Callable[[int], None],
        end: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._end = end
        self._clock = clock
        self._reported_at = clock()
        self.done = 0
        self._reported = 0

    def __call__(self, count: int) -> None:
        """So many bytes more are there."""
        self.done += count
        is_end = self._end is not None and self.done >= self._end > self._reported
        now = self._clock()
        if is_end or self.done - self._reported >= _EVERY or now - self._reported_at >= _INTERVAL:
            self._reported, self._reported_at = self.done, now
            self._report(self.done)
