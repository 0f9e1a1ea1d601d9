"""Whether a run starts that has no Job, and with what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from strake_api.imagebuild import ImageBuildSpec
from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed
from strake_api.status import ConditionType, IsolationStatus, Phase, QueueStatus
from strake_api.values.duration import parse_duration
from strake_operator.names import job_name
from strake_operator.parts import label_of
from strake_operator.reconcile.admission.admit import Waiting
from strake_operator.reconcile.decision import AGAIN_SECONDS, Decision, DropPod, StartRun, StopRun
from strake_operator.reconcile.limits import is_lost, seconds_since, soonest
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.reconcile.retries import words_of
from strake_operator.reconcile.runs import begin, number_of, trigger_of
from strake_operator.status import ending, moves
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.admission.admit import Admission
    from strake_operator.reconcile.observed import Build, BuilderRun, Observation

POSITION_SECONDS = 2.0
"""What each run before a waiting one adds to the time until its position is written again."""


def without_run(seen: Observation, status: ImageBuildStatus, now: datetime) -> Decision:
    """Return what to do about a run without a Job: it was deleted, or is to start."""
    if status.attempts and status.job is not None:
        gone = BuildFailed(
            reason=FailureReason.CANCELLED, message=f"Job {status.job} was deleted before it ended"
        )
        failed = ending.failed(status.model_copy(update={"job": None}), gone, now, now)
        # Its ConfigMap is left.
        request = status.created.request if status.created else None
        return Decision(failed, (StopRun(status.job, request=request),))
    if seen.predecessors:
        names = ", ".join(pod.name for pod in seen.predecessors)
        message = f"waiting for the end of pod {names} of the deleted ImageBuild of this name"
        drops = tuple(DropPod(pod.name, pod.uid) for pod in seen.predecessors if is_lost(pod, now))
        return Decision(moves.pending(status, ProgressReason.QUEUED, message, now), drops, AGAIN_SECONDS)
    return start(seen, status, (status.attempts or 0) + 1, now)


def queue_timeout(spec: ImageBuildSpec, status: ImageBuildStatus, now: datetime) -> Decision | None:
    """Return the end of a run that has waited for its turn as long as it may; None for any other."""
    left = seconds_to_wait(spec, status, now)
    if left is None or left > 0 or status.queue is None:
        return None
    words = status.progress or "it never started"
    message = f"waited for {spec.queue_timeout}, which is spec.queueTimeout: {words}"
    late = BuildFailed(reason=FailureReason.QUEUE_TIMEOUT, message=message)
    return Decision(ending.failed(status, late, now, now))


def seconds_to_wait(spec: ImageBuildSpec, status: ImageBuildStatus, now: datetime) -> float | None:
    """Return how long a run may wait on for its turn; None without an end, as for one that has started."""
    if spec.queue_timeout is None or status.attempts:
        return None
    since = status.queue.since if status.queue else None
    return parse_duration(spec.queue_timeout) - seconds_since(since, now)


def held(run: BuilderRun, spec: ImageBuildSpec, status: ImageBuildStatus, now: datetime) -> Decision:
    """Return what becomes of a run whose Job a queue of others, as Kueue, suspends.

    Each time that it is suspended it may wait for spec.queueTimeout.
    """
    same = any(
        each.type == ConditionType.READY and each.reason == ProgressReason.SUSPENDED
        for each in status.conditions
    )
    since = status.blocked_since if same and status.blocked_since else timestamp(now)
    words = f"Job {run.job} is suspended: the queue that did so lets it go on"
    if spec.queue_timeout is None:
        left = None
    else:
        left = parse_duration(spec.queue_timeout) - seconds_since(since, now)
        if left <= 0:
            message = f"waited for {spec.queue_timeout}, which is spec.queueTimeout: {words}"
            late = BuildFailed(reason=FailureReason.QUEUE_TIMEOUT, message=message)
            stop = StopRun(run.job, run.uid, run.request)
            return Decision(ending.failed(status, late, now, now), (stop,), status_first=True)
    waits = moves.under_way(
        status, phase=Phase.QUEUED, reason=ProgressReason.SUSPENDED, message=words, now=now
    )
    return Decision(waits.model_copy(update={"blocked_since": since}), (), left)


def may_start(build: Build, runs: Sequence[BuilderRun]) -> bool:
    """Return whether a reconcile may start something: else nobody needs to know whether it is admitted."""
    if trigger_of(build) is not None:
        return True
    return not ending.is_over(build.status) and (not runs or build.status.job is None)


def waiting(build: Build, now: datetime) -> Waiting:
    """Return a build as one that waits for its turn. A pod to start again comes before runs after it."""
    status, spec = begin(build, now), build.spec
    since = status.start_time or (status.queue.since if status.queue else None)
    priority = spec.priority if isinstance(spec, ImageBuildSpec) else 0
    return Waiting(build.namespace, build.name, datetime.fromisoformat(since) if since else now, priority)


def _queued(seen: Observation, status: ImageBuildStatus, now: datetime) -> Decision:
    admission, spec = seen.admission, seen.build.spec
    since = status.queue.since if status.queue else timestamp(now)
    waits = QueueStatus(position=admission.position, since=since, reason=admission.limit)
    status = moves.queued(status, waits, ProgressReason.QUEUED, f"waits for its turn: {admission.words}", now)
    left = seconds_to_wait(spec, status, now) if isinstance(spec, ImageBuildSpec) else None
    return Decision(status, (), soonest(seconds_to_look(admission), left))


def seconds_to_look(admission: Admission) -> float:
    """Return how soon the position of a run that waits is looked at again, the less often the farther.

    The end of a run wakes the next.
    """
    return max(AGAIN_SECONDS, POSITION_SECONDS * (admission.position or 1))


def start(seen: Observation, status: ImageBuildStatus, attempt: int, now: datetime) -> Decision:
    """Return how an attempt of a run starts, or why it does not yet."""
    wait = -seconds_since(status.next_attempt_time, now)
    if wait > 0:
        return Decision(status, (), wait)
    build = seen.build
    if not isinstance(build.spec, InvalidSpec) and build.spec.suspend:
        words = "spec.suspend is true: nothing starts before it is false"
        suspended = moves.pending(status, ProgressReason.SUSPENDED, words, now)
        return Decision(suspended.model_copy(update={"queue": None}))
    if seen.denial is not None:
        refusal = BuildFailed(reason=FailureReason.POLICY_DENIED, message=seen.denial)
        return Decision(ending.failed(status, refusal, now, now))
    late = queue_timeout(build.spec, status, now) if isinstance(build.spec, ImageBuildSpec) else None
    if late is not None:
        return late
    if not seen.admission.admitted:
        return _queued(seen, status, now)
    form, why = seen.beginning.form, seen.beginning.why
    number = number_of(status)
    name = job_name(build.name, build.uid, number, attempt, form, part=label_of(seen.part))
    isolation = IsolationStatus(kind=form.kind, reason=why)
    started = status.model_copy(
        update={
            "job": name,
            "attempts": attempt,
            "start_time": status.start_time or timestamp(now),
            "next_attempt_time": None,
            "queue": None,
            "isolation": isolation,
        }
    )
    again = words_of(status.retries[-1]) if status.next_attempt_time and status.retries else None
    message = again or "the builder pod is about to start"
    return Decision(
        moves.pending(started, ProgressReason.POD_PENDING, message, now),
        (StartRun(name, number, attempt, form, why, seen.bases, part=seen.part),),
    )
