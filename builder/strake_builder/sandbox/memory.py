"""Tells whether the kernel killed something for lack of memory, which an exit status alone does not say."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_COUNTERS: Final = (
    Path("/sys/fs/cgroup/memory.events"),  # version 2: lines "oom_kill N"
    Path("/sys/fs/cgroup/memory/memory.oom_control"),  # version 1: the same word
)
_WORD: Final = "oom_kill "


def oom_kills(counters: tuple[Path, ...] = _COUNTERS) -> int:
    """Return how many processes of this control group were killed so far; 0 where that is not to be known."""
    for path in counters:
        try:
            lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(_WORD) and line[len(_WORD) :].strip().isdecimal():
                return int(line[len(_WORD) :])
    return 0
