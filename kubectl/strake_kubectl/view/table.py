"""The table of `kubectl strake get`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from strake_api.text import visible
from strake_kubectl.builds import Build
from strake_kubectl.view.times import age

_GAP = 3


def table(builds: Sequence[Build], now: datetime, *, namespaces: bool, wide: bool) -> list[str]:
    """Return the lines of a table, a build each, with a head.

    Args:
        builds: In the order of the lines.
        now: What ages are counted to.
        namespaces: Whether there is a column for them.
        wide: Whether there are the columns of `-o wide`.
    """
    head = ["NAME", "PHASE", "REASON", "RUN", "PROGRESS", "IMAGE", "AGE"]
    head += ["DIGEST", "DURATION", "MESSAGE"] if wide else []
    rows = [head, *(_row(build, now, wide=wide) for build in builds)]
    if namespaces:
        rows = [
            ["NAMESPACE", *rows[0]],
            *([build.namespace, *row] for build, row in zip(builds, rows[1:], strict=True)),
        ]
    return aligned(rows)


def _row(build: Build, now: datetime, *, wide: bool) -> list[str]:
    status = build.status
    steps = status.steps
    progress = f"{steps.done}/{steps.total}" if steps and steps.total else ""
    run = str(build.run) if build.run else ""
    row = [
        build.name,
        status.phase or "",
        build.reason,
        run,
        progress,
        status.image or "",
        age(build.created, now),
    ]
    return [*row, status.digest or "", status.duration or "", build.message] if wide else row


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with columns; what a terminal would obey is shown."""
    shown = [[visible(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) + _GAP for column in zip(*shown, strict=True)]
    return [
        "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown
    ]
