"""Which run a build is at: a run is one spec, or one ask for a rerun.

    the spec changed in what is built        → a new run; one that goes on is stopped
    strake.dev/rerun has a new value         → likewise
    strake.dev/cancel has a new value        → the run that waits or goes on ends as Cancelled
    anything else, a removed annotation too  → the run that there is

The values that were acted on are on the status, so that a manifest that is applied again and again asks once.
The number of a run follows from spec and status alone: an operator that was stopped between the creation of a
Job and the write of the status finds the Job by its name.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_api.status import CurrentRun, HandledRequests, Trigger
from strake_operator.names import CANCEL_ANNOTATION
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.status import ending, moves

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.observed import Build

LONGEST_VALUE = 128
"""Characters of an annotation's value that the status keeps; of a longer one its digest."""
_NOT_BUILT = frozenset({"suspend", "queue_timeout", "priority", "retries", "retention"})
"""Fields of the spec that say when a run starts, how often and what is left of it, and not what it makes."""


def spec_digest(spec: ImageBuildSpec) -> str:
    """Return a digest of what a spec builds. Fields with their defaults do not count, new ones neither."""
    kept = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=set(_NOT_BUILT))
    return f"sha256:{hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()}"


def kept_value(value: str) -> str:
    """Return what the status keeps of an annotation's value, which may have any length and characters."""
    if len(value) <= LONGEST_VALUE and value.isprintable():
        return value
    return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()}"


def current(status: ImageBuildStatus) -> CurrentRun | None:
    """Return the run that a status is about; None where it is about none.

    Operators that counted generations wrote no number: it was the generation.
    """
    if status.run is not None or status.observed_generation < 1:
        return status.run
    return CurrentRun(
        number=status.observed_generation, generation=status.observed_generation, trigger=Trigger.SPEC
    )


def number_of(status: ImageBuildStatus) -> int:
    """Return the number of the run that a status is about; 0 where it is about none."""
    run = current(status)
    return 0 if run is None else run.number


def due(build: Build) -> CurrentRun:
    """Return the run that a build is at: that of its status, or the one after it."""
    now, trigger = current(build.status), trigger_of(build)
    if now is not None and trigger is None and now.spec_digest:
        return now
    digest = None if isinstance(build.spec, InvalidSpec) else spec_digest(build.spec)
    if now is not None and trigger is None:
        return now.model_copy(update={"spec_digest": digest})
    return CurrentRun(
        number=build.generation if now is None else now.number + 1,
        generation=build.generation,
        trigger=trigger or Trigger.SPEC,
        requested_by=build.rerun_by if trigger is Trigger.RERUN else None,
        spec_digest=digest,
    )


def trigger_of(build: Build) -> Trigger | None:
    """Return why another run is due than that of the status; None where that is the one."""
    now, status = current(build.status), build.status
    if now is None:
        return Trigger.SPEC
    if status.observed_generation != build.generation and not _builds_the_same(build, now):
        return Trigger.SPEC
    handled = status.last_handled.rerun if status.last_handled else None
    if build.rerun is not None and kept_value(build.rerun) != handled:
        return Trigger.RERUN
    return None


def _builds_the_same(build: Build, run: CurrentRun) -> bool:
    return not isinstance(build.spec, InvalidSpec) and run.spec_digest == spec_digest(build.spec)


def begin(build: Build, now: datetime) -> ImageBuildStatus:
    """Return the status that the run which is due starts from, or goes on with."""
    trigger, run = trigger_of(build), due(build)
    if trigger is None:
        status = moves.observed(build.status, run, build.generation)
    else:
        status = moves.begin(build.status, current(build.status), run, build.generation, now)
    before = build.status.last_handled or HandledRequests()
    # A first run, or one of a changed spec, is what was asked for, too.
    rerun = before.rerun if build.rerun is None else kept_value(build.rerun)
    handled = HandledRequests(rerun=rerun, cancel=before.cancel)
    return status.model_copy(update={"last_handled": handled if rerun or before.cancel else None})


def cancel(build: Build, status: ImageBuildStatus, now: datetime) -> tuple[ImageBuildStatus, bool]:
    """Take note of an ask to cancel; return the status after it, and whether it ended the run.

    Args:
        build: As it is.
        status: What its run starts from, or goes on with.
        now: The present.
    """
    handled = status.last_handled or HandledRequests()
    value = None if build.cancel is None else kept_value(build.cancel)
    if value is None or value == handled.cancel:
        return status, False
    noted = status.model_copy(update={"last_handled": handled.model_copy(update={"cancel": value})})
    # A rerun that is asked for at the same time comes after: the run before it has ended.
    if ending.is_finished(status, build.generation) or trigger_of(build) is Trigger.RERUN:
        return noted, False
    message = (
        f"cancelled by the annotation {CANCEL_ANNOTATION}={value}: a changed spec, or a new value of "
        "strake.dev/rerun, starts another run"
    )
    failure = BuildFailed(reason=FailureReason.CANCELLED, message=message)
    return ending.failed(noted.model_copy(update={"job": None}), failure, now, now), True


def ended(before: ImageBuildStatus, after: ImageBuildStatus) -> bool:
    """Return whether a run ended between two statuses, or a part of it."""
    one, other = current(before), current(after)
    same = one is not None and other is not None and one.number == other.number
    if ending.is_over(after):
        return not (same and ending.is_over(before))
    known = set(_ended_parts(before)) if same else set()
    return any(each not in known for each in _ended_parts(after))


def _ended_parts(status: ImageBuildStatus) -> tuple[str, ...]:
    return tuple(each.name for each in status.parts or () if ending.is_end(each.phase))
