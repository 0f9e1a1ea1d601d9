"""Tells what the kernel knows of the container's memory, which an exit status alone does not say.

Processes killed for lack of it, the limit, and the most that was ever used: of the builder's control group,
which its steps share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from strake_api.values.quantity import shown_bytes
from strake_oci.lazy_dataclass import dataclass


class Group(NamedTuple):
    """The files of a control group."""

    kills: Path
    """Has a line `oom_kill N`."""
    limit: Path
    """A number of bytes; none, or more than any machine has, where there is no limit."""
    peak: Path
    """A number of bytes; version 2 has it since Linux 5.19."""


_NAMES: Final = {
    "/sys/fs/cgroup": ("memory.events", "memory.max", "memory.peak"),
    "/sys/fs/cgroup/memory": ("memory.oom_control", "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
}
_GROUPS: Final = tuple(Group(*(Path(place, each) for each in names)) for place, names in _NAMES.items())
"""Versions 2 and 1 of the kernel's interface."""
_WORD: Final = "oom_kill "
_UNLIMITED: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Memory:
    """What a control group's memory is like; None is what nobody knows."""

    kills: int | None = None
    """Processes that were killed for lack of memory so far."""
    limit: int | None = None
    """Bytes; None also where there is no limit."""
    peak: int | None = None
    """Bytes."""

    def killed_since(self, before: Memory) -> int | None:
        """Return how many processes were killed after an earlier look."""
        return None if self.kills is None or before.kills is None else self.kills - before.kills

    @property
    def words(self) -> str:
        """What was used and what the limit is, for a person; "" where neither is known."""
        used = f"the container used {shown_bytes(self.peak)}" if self.peak else ""
        limit = f"its limit is {shown_bytes(self.limit)}" if self.limit else ""
        return " and ".join(each for each in (used, limit) if each)


def look_at_memory(groups: tuple[Group, ...] = _GROUPS) -> Memory:
    """Return what is known of the memory of this control group."""
    for group in groups:
        kills = next((line for line in _read(group.kills).splitlines() if line.startswith(_WORD)), None)
        if kills is not None:
            limit, peak = (_number(_read(path)) for path in (group.limit, group.peak))
            return Memory(_number(kills[len(_WORD) :]), limit, peak)
    return Memory()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None
