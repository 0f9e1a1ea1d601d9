"""Tells the audience what happens and how long it took."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Narrator:
    """Numbers the steps and measures them."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._started = time.monotonic()
        self._colour = sys.stdout.isatty()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce a step, and its duration at the end."""
        self._number += 1
        started = time.monotonic()
        print(self._bold(f"[{self._number}/{self._total}] {what}"), flush=True)
        yield
        print(f"      done in {time.monotonic() - started:.1f} s", flush=True)

    def say(self, text: str) -> None:
        """Print a detail of the current step."""
        for line in text.splitlines():
            print(f"      {line}", flush=True)

    def title(self, text: str) -> None:
        """Print a line that stands out."""
        print(self._bold(text), flush=True)

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._colour else text
