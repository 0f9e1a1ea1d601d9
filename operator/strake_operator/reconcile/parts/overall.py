"""The whole run, as its parts have it: phase, conditions, progress, and its end.

While parts go on, the one that is the farthest from its end tells phase and reason: it is what the run waits
for.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from strake_api.reasons import ProgressReason
from strake_api.result import shorten
from strake_api.status import Phase, PlatformImage, Steps
from strake_operator.parts import INDEX, SOURCE
from strake_operator.reconcile.parts.order import part_of
from strake_operator.status import ending
from strake_operator.status.conditions import SUCCEEDED, UNDER_WAY, with_truths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from strake_api.status import ImageBuildStatus, IsolationStatus, PartStatus

_ORDER: Final = (
    Phase.QUEUED,
    Phase.PENDING,
    Phase.FETCHING,
    Phase.PULLING,
    Phase.BUILDING,
    Phase.PUSHING,
    Phase.SUCCEEDED,
    Phase.FAILED,
)
_SHOWN: Final = 1000


def under_way(status: ImageBuildStatus, due: Sequence[str], now: datetime) -> ImageBuildStatus:
    """Return the status of a run that goes on, by its parts.

    Args:
        status: With what was decided about each part.
        due: The names of the parts that are to start or go on, in order.
        now: The present.
    """
    parts = status.parts or ()
    open_parts = [each for each in parts if each.name in due and not ending.is_end(each.phase)]
    lead = min(open_parts, key=lambda each: _ORDER.index(each.phase or Phase.PENDING), default=None)
    phase = lead.phase if lead is not None and lead.phase is not None else Phase.PENDING
    if due == (INDEX,) and phase is not Phase.QUEUED:
        phase = Phase.PUSHING
    reason = lead.reason if lead is not None and lead.reason else ProgressReason.POD_PENDING
    message = _message(open_parts) if phase is not Phase.QUEUED else (lead and lead.message) or ""
    changed = status.model_copy(
        update={
            "phase": phase,
            "progress": message,
            "job": None,
            "created": None,
            "attempts": _attempts(parts),
            "steps": _steps(parts),
            "isolation": _isolation(parts),
            "next_attempt_time": _first(each.next_attempt_time for each in parts),
            "blocked_since": _first(each.blocked_since for each in parts),
        }
    )
    return with_truths(changed, UNDER_WAY, reason, message, now)


def _message(parts: Iterable[PartStatus]) -> str:
    told = (f"{each.name}: {each.message or 'it is about to start'}" for each in parts)
    return shorten("; ".join(told) or "the next part is about to start", _SHOWN)


def _attempts(parts: Iterable[PartStatus]) -> int:
    return sum(each.attempts or 0 for each in parts)


def _steps(parts: Iterable[PartStatus]) -> Steps | None:
    found = [each.steps for each in parts if each.steps is not None]
    if not found:
        return None
    return Steps(
        total=sum(each.total for each in found),
        done=sum(each.done for each in found),
        cached=sum(each.cached for each in found),
    )


def _isolation(parts: Iterable[PartStatus]) -> IsolationStatus | None:
    """Return the least isolation that a part has: that of the first one where all have the same."""
    found = [each.isolation for each in parts if each.isolation is not None]
    return min(found, key=lambda each: each.kind == "nested", default=None)


def _first(moments: Iterable[str | None]) -> str | None:
    return min((each for each in moments if each is not None), default=None)


def succeeded(status: ImageBuildStatus, sub: ImageBuildStatus, now: datetime) -> ImageBuildStatus:
    """Return the status of a run whose index is pushed, and its tags with it.

    Args:
        status: Of the run, with all its parts.
        sub: Of the part that made the index, as if it were a run.
        now: The present.
    """
    parts = status.parts or ()
    images = tuple(
        PlatformImage(platform=each.name, digest=each.digest)
        for each in parts
        if each.name not in {SOURCE, INDEX} and each.digest is not None
    )
    changed = status.model_copy(
        update={
            **ending.end(status, _ended(sub, now)),
            "phase": Phase.SUCCEEDED,
            "job": None,
            "created": None,
            "attempts": _attempts(parts),
            "steps": _steps(parts),
            "isolation": _isolation(parts),
            "image": sub.image,
            "images": sub.images,
            "references": sub.references,
            "digest": sub.digest,
            "attestation": sub.attestation,
            "platforms": images,
            "failure": None,
        }
    )
    words = f"pushed {sub.image}"
    return ending.remembered(with_truths(changed, SUCCEEDED, ProgressReason.PUSHED, words, now))


def failed(status: ImageBuildStatus, name: str, sub: ImageBuildStatus, now: datetime) -> ImageBuildStatus:
    """Return the status of a run of which one part failed for good: the others are not needed any more.

    Args:
        status: Of the run, with all its parts.
        name: The part that failed.
        sub: Its status, as if it were a run.
        now: The present.
    """
    parts = ending.closed(status.parts or (), f"stopped: {name} failed")
    changed = status.model_copy(
        update={
            "parts": parts,
            "job": None,
            "created": None,
            "attempts": _attempts(parts),
            "steps": _steps(parts),
            "isolation": part_of(status, name).isolation or _isolation(parts),
            "sizes": None,
        }
    )
    return ending.failed_in(changed, name, sub, _ended(sub, now), now)


def _ended(sub: ImageBuildStatus, now: datetime) -> datetime:
    return now if sub.completion_time is None else datetime.fromisoformat(sub.completion_time)
