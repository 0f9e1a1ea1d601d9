"""Counts the bytes of a blob on its way, and tells of them now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_EVERY: Final = 4 << 20


class Transfer:
    """Takes numbers of bytes as they come. Not thread-safe.

    Args:
        report: called with the bytes so far, every few MiB.
        end: bytes at which it is called as well.
    """

    def __init__(self, report: Callable[[int], None], end: int | None = None) -> None:
        self._report = report
        self._end = end
        self._done = 0
        self._reported = 0

    def __call__(self, count: int) -> None:
        """So many bytes more are there."""
        self._done += count
        is_end = self._end is not None and self._done >= self._end > self._reported
        if is_end or self._done - self._reported >= _EVERY:
            self._reported = self._done
            self._report(self._done)
