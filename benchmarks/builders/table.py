"""The result as a Markdown table, to be pasted."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.builders.measure import Cost
from benchmarks.builders.peers import Builder

_MIB: Final = 1 << 20
_MB: Final = 1_000_000


def heading(builders: Iterable[Builder], rounds: int) -> str:
    """Return what was measured where, and the table's head."""
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    kernel = ".".join(platform.release().split(".")[:2])
    versions = ", ".join(builder.version() for builder in builders)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors ({processor[1] if processor else '?'}), "
        f"{memory:.0f} GiB, Linux {kernel}. Best of {rounds}. {versions}.\n\n"
        "| case | builder | seconds | to the fastest peer | CPU s | memory MiB | pulled MB | pushed MB |\n"
        "|---|---|---|---|---|---|---|---|"
    )


def rows(title: str, costs: dict[str, Cost | None]) -> str:
    """Return a case's rows; the ratio is to the fastest that is not Strake, or to the first."""
    names = list(costs)
    others = [name for name in names if not name.startswith("strake")] or names[: len(names) > 1]
    peers = [cost.seconds for name in others if (cost := costs[name])]
    return "\n".join(_row(title if name == names[0] else "", name, costs[name], peers) for name in names)


def _row(title: str, name: str, cost: Cost | None, peers: list[float]) -> str:
    if cost is None:
        return f"| {title} | {name} | failed | | | | | |"
    ratio = f"{cost.seconds / min(peers):.2f}" if peers else ""
    used = f"{cost.cpu:.2f} | {cost.memory / _MIB:.0f}"
    moved = f"{cost.moved.pulled / _MB:.1f} | {cost.moved.pushed / _MB:.1f}"
    return f"| {title} | {name} | {cost.seconds:.2f} | {ratio} | {used} | {moved} |"
