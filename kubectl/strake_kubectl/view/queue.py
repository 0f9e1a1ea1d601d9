"""The table of `kubectl strake top`: what runs, and what waits, in the order in which it will start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from strake_api.status import Phase
from strake_kubectl.builds import Build, moment
from strake_kubectl.view.table import aligned
from strake_kubectl.view.times import age

_ENDED = frozenset({Phase.SUCCEEDED, Phase.FAILED})
_LAST = 1 << 31


def queue(builds: Sequence[Build], now: datetime, *, namespaces: bool) -> list[str]:
    """Return the lines of a table, with a head; only a line of sums where nothing runs or waits.

    Args:
        builds: All that may be looked at.
        now: What times are counted to.
        namespaces: Whether there is a column for them.
    """
    going = [each for each in builds if each.status.phase not in {None, *_ENDED}]
    waiting = sorted((each for each in going if each.status.queue), key=_position)
    running = sorted((each for each in going if not each.status.queue), key=_start)
    unseen = [each for each in builds if each.status.phase is None]
    sums = f"{len(running)} run, {len(waiting)} wait"
    sums += f", {len(unseen)} not seen by the operator yet" if unseen else ""
    if not going:
        return [sums]
    head = ["NAME", "PHASE", "POSITION", "SINCE", "STEPS", "WHAT"]
    rows = [head, *(_row(each, now) for each in (*running, *waiting))]
    if namespaces:
        named = zip((*running, *waiting), rows[1:], strict=True)
        rows = [["NAMESPACE", *head], *([each.namespace, *row] for each, row in named)]
    return [*aligned(rows), sums]


def _start(build: Build) -> str:
    return build.status.start_time or ""


def _position(build: Build) -> tuple[int, str]:
    waits = build.status.queue
    return ((waits and waits.position) or _LAST, waits.since if waits else "")


def _row(build: Build, now: datetime) -> list[str]:
    status, waits = build.status, build.status.queue
    since = age(moment(waits.since if waits else status.start_time), now)
    steps = f"{status.steps.done}/{status.steps.total}" if status.steps and status.steps.total else ""
    position = str(waits.position or "") if waits else ""
    what = (waits.reason if waits else status.progress) or build.message
    return [build.name, status.phase or "", position, since, steps, what]
