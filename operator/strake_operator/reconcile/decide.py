"""The operator's decision: what was seen → the status to write and the actions to take.

    no Job for this run          → start one (an older run's Job is stopped first)
    a Job that goes on           → report where it is
    a Job that ended             → report how; start another where the infrastructure was to blame
    a Job past its time          → report so, whatever its node does
    the run ended before         → nothing: applying the same manifest again changes nothing

It is a pure function. All state is in the cluster's objects, so a restarted operator decides the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed, BuildSucceeded
from strake_api.status import CreatedObjects, IsolationStatus, Phase, Steps
from strake_operator.reconcile.decision import (
    AGAIN_SECONDS,
    Action,
    Decision,
    DropPod,
    StartRun,
    StopRun,
)
from strake_operator.reconcile.ends.added import ADDED
from strake_operator.reconcile.ends.advice import with_advice, with_last_words
from strake_operator.reconcile.ends.blocker import blocker, exceeds_quota, last_words
from strake_operator.reconcile.ends.log import with_logs
from strake_operator.reconcile.ends.outcome import node_lost, outcome
from strake_operator.reconcile.forms.bases import seconds_for_volumes
from strake_operator.reconcile.forms.retreat import retreat, retreat_at_last, worked
from strake_operator.reconcile.limits import (
    is_lost,
    seconds_left,
    seconds_since,
    soonest,
)
from strake_operator.reconcile.observed import InvalidSpec, Running, Terminated
from strake_operator.reconcile.parts.several import decide_several
from strake_operator.reconcile.retention import bounded, seconds_kept, without_kept
from strake_operator.reconcile.retries import retried
from strake_operator.reconcile.runs import begin, cancel, number_of
from strake_operator.reconcile.starting import held, start, without_run
from strake_operator.settings.default_cache import cache_repository
from strake_operator.status import ending, moves
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.ends.blocker import Blocker
    from strake_operator.reconcile.observed import BuilderRun, Observation, Pod
    from strake_operator.settings.environment import Settings


def decide(seen: Observation, settings: Settings, now: datetime) -> Decision:
    """Return what to do about a build."""
    decision = _decide(seen, settings, now)
    status = bounded(decision.status, seen.build.spec)
    decision = replace(decision, status=with_logs(status, seen.runs))
    # One that is about to be started may be the operator's own, made just before it was stopped.
    starting = {action.job for action in decision.actions if isinstance(action, StartRun)}
    strays = _stops((run for run in seen.strays if run.job not in starting), now)
    return replace(decision, actions=(*decision.actions, *strays)) if strays else decision


def _decide(seen: Observation, settings: Settings, now: datetime) -> Decision:
    build = seen.build
    if build.deleting:
        # A finalizer of somebody else may keep it for long, and owner references wait for its end.
        return Decision(build.status, _stops(seen.runs, now), AGAIN_SECONDS if seen.runs else None)
    status, cancelled = cancel(build, bounded(begin(build, now), build.spec), now)
    seen, kept = without_kept(seen, status, settings, now)
    if cancelled:
        again = AGAIN_SECONDS if seen.runs else kept
        return Decision(status, _stops(seen.runs, now), again, status_first=True)
    decision = _of_runs(seen, status, settings, now)
    return replace(decision, requeue_after=soonest(decision.requeue_after, kept))


def _of_runs(seen: Observation, status: ImageBuildStatus, settings: Settings, now: datetime) -> Decision:
    """Return what to do about a build, of whose earlier runs nothing is seen that is to be kept."""
    build = seen.build
    stale = tuple(run for run in seen.runs if run.number != number_of(status))
    stops = _stops(stale, now)
    if ending.is_finished(status, build.generation):
        return _finished(seen, status, stops, settings, now)
    if isinstance(build.spec, InvalidSpec):
        refusal = BuildFailed(reason=FailureReason.INVALID_REQUEST, message=build.spec.message)
        return Decision(ending.failed(status, refusal, now, now), stops)
    if stale:
        # Two runs at a time could push to one tag in the wrong order.
        waiting = moves.pending(status, ProgressReason.QUEUED, "waiting for the previous run to stop", now)
        return Decision(waiting, stops, AGAIN_SECONDS)
    if build.spec.platforms:
        return decide_several(seen, build.spec, status, settings, now, _of_current)
    return _of_current(seen, build.spec, status, settings, now)


def _of_current(
    seen: Observation, spec: ImageBuildSpec, status: ImageBuildStatus, settings: Settings, now: datetime
) -> Decision:
    """Return what to do about a run, where nothing of an earlier one is left."""
    status = status.model_copy(update={"warnings": _rivals(seen)})
    if not status.attempts:
        cache = cache_repository(spec, seen.build.namespace, settings.default_cache)
        logs = settings.log_repository
        log = None if logs is None else logs.repository(seen.build.namespace)
        status = status.model_copy(update={"cache_repository": cache, "log_repository": log})
    attempts = status.attempts or 0
    if status.job is None and seen.runs and all(run.attempt <= attempts for run in seen.runs):
        # Given up: what is left of it goes, and the next attempt starts beside it.
        again = start(seen, status, attempts + 1, now)
        return replace(again, actions=(*_stops(seen.runs, now), *again.actions))
    run = max(seen.runs, key=_latest, default=None)
    if run is None or run.attempt < attempts:
        return without_run(seen, status, now)
    decision = _of_run(seen, spec, run, status, settings, now)
    # Of an attempt that was started again in another form the first Job goes.
    refused = [each for each in seen.runs if each.attempt == run.attempt and each is not run]
    return replace(decision, actions=(*decision.actions, *_stops(refused, now)))


def _latest(run: BuilderRun) -> tuple[int, int, bool]:
    """Return the order in which Jobs of a run follow each other."""
    return run.attempt, run.form.rank, run.plain is not None


def _of_run(
    seen: Observation,
    spec: ImageBuildSpec,
    run: BuilderRun,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
) -> Decision:
    # The Job may be there before the status that names it: the operator was stopped between the two.
    isolation = IsolationStatus(kind=run.form.kind, reason=run.why)
    status = status.model_copy(
        update={
            "job": run.job,
            "attempts": run.attempt,
            "start_time": status.start_time or timestamp(run.created),
            "next_attempt_time": None,
            "queue": None,
            "isolation": isolation,
            "created": CreatedObjects(job=run.uid, request=run.request) if run.uid else status.created,
        }
    )
    ended = outcome(run, spec)
    if not run.deleting and (again := retreat(seen, run, ended, status, settings, now)) is not None:
        return again
    if ended is None and run.pod is not None and is_lost(run.pod, now) and not run.deleting:
        ended = node_lost(run)
    # A Job that somebody deletes takes its pod along: that is no eviction.
    if ended is not None and (isinstance(ended, BuildSucceeded) or not run.deleting):
        return _ended(seen, spec, run, ended, status, settings, now)
    return _going_on(seen, spec, run, status, settings, now)


def _stops(runs: Iterable[BuilderRun], now: datetime) -> tuple[Action, ...]:
    """Return what ends runs; one that is ending already is helped where its node is lost."""
    found: list[Action] = []
    for run in runs:
        if not run.deleting:
            found.append(_stop(run))
        elif run.pod is not None and is_lost(run.pod, now):
            found.append(DropPod(run.pod.name, run.pod.uid))
    return tuple(found)


def _stop(run: BuilderRun) -> StopRun:
    return StopRun(run.job, run.uid, run.request)


def _rivals(seen: Observation) -> tuple[str, ...] | None:
    """Return a warning for each destination that another ImageBuild pushes to, too."""
    found = tuple(
        f"ImageBuild {name} pushes to {destination}, too: whichever build ends last decides what the tag is"
        for destination, name in seen.rivals[:10]
    )
    return found or None


def _finished(
    seen: Observation, status: ImageBuildStatus, stops: tuple[Action, ...], settings: Settings, now: datetime
) -> Decision:
    """Return what is left to do about a run that ended: its Job, pod and ConfigMap go after a time."""
    again: float | None = AGAIN_SECONDS if stops else None
    for run in seen.runs:
        if run.number != number_of(status):
            continue
        left = seconds_kept(run, status, seen.build.spec, settings, now)
        if run.deleting or left <= 0:
            stops += _stops((run,), now)
            again = soonest(again, AGAIN_SECONDS)
        else:
            again = soonest(again, left)
    return Decision(ending.with_conditions(status, now), stops, again)


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
    # A pod that should be gone for long keeps its Job.
    drops = _drops(run.pod, now)
    lessons = worked(seen, run, ended)
    if isinstance(ended, BuildSucceeded):
        done = ending.succeeded(status, ended, spec.output.destinations, finished, now)
        return Decision(done, lessons=lessons, result=ended)
    if (again := retried(run, ended, spec, status, settings, now, drops)) is not None:
        return again
    ended = with_last_words(ended, seen.build.status)
    failed = ending.failed(status, with_advice(ended, settings), finished, now)
    return Decision(failed, drops, lessons=lessons)


def _drops(pod: Pod | None, now: datetime) -> tuple[DropPod, ...]:
    return (DropPod(pod.name, pod.uid),) if pod is not None and is_lost(pod, now) else ()


def _going_on(
    seen: Observation,
    spec: ImageBuildSpec,
    run: BuilderRun,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
) -> Decision:
    if run.deleting:
        message = f"Job {run.job} is being deleted"
        waiting = moves.pending(status, FailureReason.CANCELLED, message, now)
        return Decision(waiting, _stops((run,), now), AGAIN_SECONDS)
    left = seconds_left(run, spec, now)
    if left is not None and left <= 0:
        message = "the build took longer than spec.timeout, and its node did not end it in time"
        late = BuildFailed(reason=FailureReason.TIMED_OUT, message=message)
        failed = ending.failed(status, with_last_words(late, seen.build.status), now, now)
        # Written first: else an operator that is killed between the two finds a Job that somebody deleted.
        return Decision(failed, (_stop(run), *_drops(run.pod, now)), status_first=True)
    if run.pod is not None and isinstance(run.pod.container, Running):
        again = soonest(left, AGAIN_SECONDS if run.pod.deleting else None)
        return Decision(_building(seen, status, now), (), again)
    if run.suspended:
        return held(run, spec, status, now)
    if (found := blocker(run)) is not None:
        return _blocked(seen, spec, run, found, status, settings, now, left=left)
    if (quota := exceeds_quota(run)) is not None:
        return Decision(moves.pending(status, ProgressReason.QUOTA_EXCEEDED, quota, now), (), left)
    if run.pod is not None and run.pod.unschedulable is not None:
        message = f"no node fits the builder pod: {run.pod.unschedulable}"
    else:
        message = _starting(run)
    again = soonest(left, seconds_for_volumes(run, now))
    return Decision(moves.pending(status, ProgressReason.POD_PENDING, message, now), (), again)


def _starting(run: BuilderRun) -> str:
    """Return what is to be seen of a pod that starts: what it waits for, where somebody tells."""
    told = ["the builder pod starts"]
    if run.pod is not None and run.pod.fetching:
        told = ["the builder pod fetches the source"]  # in an init container, whose log has the bytes
    if run.pod is not None and (awaited := run.pod.awaited) is not None:
        told.append(f"it waits for container {awaited.name}, which {ADDED}, to {awaited.until}")
        if awaited.until == "end":
            return ": ".join(told)
    # Of a sidecar these are the words of its startup probe.
    return ": ".join([*told, *filter(None, [last_words(run)])])


def _blocked(  # noqa: PLR0913 - all that tells whether it ends
    seen: Observation,
    spec: ImageBuildSpec,
    run: BuilderRun,
    found: Blocker,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
    *,
    left: float | None,
) -> Decision:
    if found.temporary:
        return Decision(
            moves.pending(status, ProgressReason.CLUSTER_UNAVAILABLE, found.message, now), (), left
        )
    status = moves.blocked(status, found.reason, found.message, now)
    patience = settings.grace_seconds - seconds_since(status.blocked_since, now)
    if patience > 0:
        return Decision(status, (), soonest(patience + 1, left))
    # Kubernetes tries less and less often: what was seen before the grace was over may be mended since.
    if found.last is not None and seconds_since(status.blocked_since, found.last) < settings.grace_seconds:
        return Decision(status, (), left)
    if (again := retreat_at_last(seen, run, found, status, settings, now)) is not None:
        return again
    if (again := retried(run, found.failure, spec, status, settings, now)) is not None:
        return again
    failure = with_advice(found.failure, settings)
    failed = ending.failed(status.model_copy(update={"job": None}), failure, now, now)
    return Decision(failed, (_stop(run),), status_first=True)


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
