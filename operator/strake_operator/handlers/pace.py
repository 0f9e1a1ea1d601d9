"""A pace for work that others decide the amount of, so that it takes a part of the operator and no more."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets so many things a second pass, whoever asks: they come in turn.

    Args:
        per_second: How many.
    """

    def __init__(self, per_second: float) -> None:
        self._seconds = 1 / per_second
        self._free = 0.0

    async def take(self, count: int) -> None:
        """Wait until it is the turn of so many things that were done just now."""
        now = asyncio.get_running_loop().time()
        self._free = max(now, self._free) + count * self._seconds
        await asyncio.sleep(self._free - now)
