"""The operator's decision: what was seen → the status to write and the actions to take.

    no Job for this generation   → start one (an older generation's Job is stopped first)
    a Job that goes on           → report where it is
    a Job that ended             → report how; start another where the infrastructure was to blame
    the generation ended before  → nothing: applying the same manifest again changes nothing

It is a pure function. All state is in the cluster's objects, so a restarted operator decides the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strake_api.reasons import RETRYABLE, FailureReason, ProgressReason
from strake_api.result import BuildFailed, BuildSucceeded
from strake_api.status import ImageBuildStatus, Phase, Steps
from strake_operator import status as moves
from strake_operator.default_cache import cache_repository
from strake_operator.names import job_name
from strake_operator.reconcile.observed import InvalidSpec, Running, Terminated
from strake_operator.reconcile.outcome import blocker, exceeds_quota, outcome

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.reconcile.observed import BuilderRun, Observation
    from strake_operator.settings import Settings

STOPPING_SECONDS = 5.0
"""How soon to look again while a Job is being deleted; its end is noticed at once in most cases."""
QUOTA_SECONDS = 30.0
"""How soon to try again where the namespace's quota has no room."""


@dataclass(frozen=True, slots=True)
class StartRun:
    """Create the ConfigMap and the Job of a run."""

    job: str
    generation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StopRun:
    """Delete a Job, its pod and its ConfigMap."""

    job: str


Action = StartRun | StopRun


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, in this order: the actions, then the status, then a look after `look_again` seconds."""

    status: ImageBuildStatus
    actions: tuple[Action, ...] = ()
    look_again: float | None = None


def decide(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """Return what to do about a build."""
    build = seen.build
    if build.deleting:
        # Owner references end the Job and the pod.
        return Decision(build.status)
    status = moves.begin(build.status, build.generation, now)
    stale = tuple(run for run in seen.runs if run.generation != build.generation)
    stops = tuple(StopRun(run.job) for run in stale if not run.deleting)
    if moves.is_finished(status, build.generation):
        return Decision(status, stops)
    if isinstance(build.spec, InvalidSpec):
        refusal = BuildFailed(reason=FailureReason.INVALID_REQUEST, message=build.spec.message)
        return Decision(moves.failed(status, refusal, now, now), stops)
    if stale:
        # Two runs at a time could push to one tag in the wrong order.
        waiting = _pending(status, ProgressReason.QUEUED, "waiting for the previous run to stop", now)
        return Decision(waiting, stops, STOPPING_SECONDS)
    if not status.attempts:
        cache = cache_repository(build.spec, build.namespace, settings.default_cache)
        status = status.model_copy(update={"cache_repository": cache})
    run = max(seen.runs, key=lambda run: run.attempt, default=None)
    if run is None or run.attempt < (status.attempts or 0):
        return _without_run(seen, status, now)
    # The Job may be there before the status that names it: the operator was stopped between the two.
    status = status.model_copy(update={"job": run.job, "attempts": run.attempt})
    ended = outcome(run)
    # A Job that somebody deletes takes its pod along: that is no eviction.
    if ended is not None and (isinstance(ended, BuildSucceeded) or not run.deleting):
        return _ended(seen, build.spec, run, ended, status, settings, now)
    return _going_on(seen, run, status, settings, now)


def _without_run(seen: Observation, status: ImageBuildStatus, now: datetime) -> Decision:
    if status.attempts:
        gone = BuildFailed(
            reason=FailureReason.CANCELLED, message=f"Job {status.job} was deleted before it ended"
        )
        return Decision(moves.failed(status.model_copy(update={"job": None}), gone, now, now))
    return _start(seen, status, 1, now)


def _start(
    seen: Observation, status: ImageBuildStatus, attempt: int, now: datetime, why: str = ""
) -> Decision:
    build = seen.build
    name = job_name(build.name, build.uid, build.generation, attempt)
    started = status.model_copy(update={"job": name, "attempts": attempt})
    message = why or "the builder pod is about to start"
    return Decision(
        _pending(started, ProgressReason.POD_PENDING, message, now),
        (StartRun(name, build.generation, attempt),),
    )


def _ended(
    seen: Observation,
    spec: ImageBuildSpec,
    run: BuilderRun,
    ended: BuildSucceeded | BuildFailed,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
) -> Decision:
    finished = now
    if run.pod is not None and isinstance(run.pod.container, Terminated):
        finished = run.pod.container.finished or now
    if isinstance(ended, BuildSucceeded):
        return Decision(moves.succeeded(status, ended, spec.output.destinations, finished, now))
    if ended.reason in RETRYABLE and run.attempt < settings.attempts:
        again = _start(seen, status, run.attempt + 1, now, f"starting again: {ended.message}")
        return Decision(again.status, (StopRun(run.job), *again.actions))
    return Decision(moves.failed(status, ended, finished, now))


def _going_on(
    seen: Observation, run: BuilderRun, status: ImageBuildStatus, settings: Settings, now: datetime
) -> Decision:
    if run.deleting:
        message = f"Job {run.job} is being deleted"
        return Decision(_pending(status, FailureReason.CANCELLED, message, now), (), STOPPING_SECONDS)
    if run.pod is not None and isinstance(run.pod.container, Running):
        return Decision(_building(seen, status, now))
    if run.suspended:
        return Decision(_pending(status, ProgressReason.SUSPENDED, f"Job {run.job} is suspended", now))
    if (blocked := blocker(run)) is not None:
        left = settings.grace_seconds - (now - run.created).total_seconds()
        if left > 0:
            return Decision(_pending(status, blocked.reason, blocked.message, now), (), left + 1)
        failed = moves.failed(status.model_copy(update={"job": None}), blocked, now, now)
        return Decision(failed, (StopRun(run.job),))
    if (quota := exceeds_quota(run)) is not None:
        return Decision(_pending(status, ProgressReason.QUOTA_EXCEEDED, quota, now), (), STOPPING_SECONDS)
    if run.pod is not None and run.pod.unschedulable is not None:
        message = f"no node fits the builder pod: {run.pod.unschedulable}"
    else:
        message = "the builder pod starts"
    # Problems show as events, which nobody tells us of: look again.
    return Decision(_pending(status, ProgressReason.POD_PENDING, message, now), (), STOPPING_SECONDS)


def _building(seen: Observation, status: ImageBuildStatus, now: datetime) -> ImageBuildStatus:
    progress = seen.progress
    if progress is None:
        return moves.under_way(
            status,
            phase=Phase.BUILDING,
            reason=ProgressReason.BUILDING,
            message=status.progress if status.phase is Phase.BUILDING and status.progress else "building",
            now=now,
        )
    steps = Steps(total=progress.total, done=progress.done, cached=progress.cached)
    return moves.under_way(
        status,
        phase=progress.phase,
        reason=progress.reason,
        message=progress.text,
        now=now,
        steps=steps if progress.total else None,
    )


def _pending(
    status: ImageBuildStatus, reason: ProgressReason | FailureReason, message: str, now: datetime
) -> ImageBuildStatus:
    return moves.under_way(status, phase=Phase.PENDING, reason=reason, message=message, now=now)


def refused(seen: Observation, status: ImageBuildStatus, message: str, now: datetime) -> Decision:
    """Return what to do where the API server refuses the objects of a run.

    Args:
        seen: What the run was decided from.
        status: The status that the decision would have written.
        message: The API server's words.
        now: The present.
    """
    if "exceeded quota" in message:
        before = moves.begin(seen.build.status, seen.build.generation, now)
        return Decision(_pending(before, ProgressReason.QUOTA_EXCEEDED, message, now), (), QUOTA_SECONDS)
    reason = FailureReason.POLICY_DENIED if "denied" in message else FailureReason.INVALID_REQUEST
    failure = BuildFailed(reason=reason, message=f"the cluster refuses the builder's objects: {message}")
    return Decision(moves.failed(status.model_copy(update={"job": None}), failure, now, now))
