"""Whether the work directory was full: many a command that cannot write does not say why it failed."""

from __future__ import annotations

import os
import time
from typing import Final

_NO_ROOM: Final = 64 << 10
"""Bytes. What file systems keep for themselves varies; no command gets far with this."""


class DiskRoom:
    """Remembers when a file system had no room: of stages side by side, one lets go what another filled.

    Thread-safe.

    Args:
        path: a directory on it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._last_full: float | None = None

    def look(self) -> float:
        """Look at the room there is now; return the time of the look."""
        found = os.statvfs(self._path)
        now = time.monotonic()
        if found.f_bavail * found.f_frsize < _NO_ROOM or (found.f_files > 0 and not found.f_favail):
            self._last_full = now
        return now

    def was_full_since(self, moment: float) -> bool:
        """Say whether any look since a time, as `look` returns it, found no room."""
        return self._last_full is not None and self._last_full >= moment
