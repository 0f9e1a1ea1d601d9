"""Counts the bytes of a blob on its way, and tells of them now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_EVERY: Final = 4 << 20


class Transfer:
    """Takes numbers of bytes as they come. Not thread-safe.

    Args:
        tell: called with the bytes so far, every few MiB.
        end: bytes at which it is called as well.
    """

    def __init__(self, tell: Callable[[int], None], end: int | None = None) -> None:
        self._tell = tell
        self._end = end
        self._done = 0
        self._told = 0

    def __call__(self, count: int) -> None:
        """So many bytes more are there."""
        self._done += count
        is_end = self._end is not None and self._done >= self._end > self._told
        if is_end or self._done - self._told >= _EVERY:
            self._told = self._done
            self._tell(self._done)
