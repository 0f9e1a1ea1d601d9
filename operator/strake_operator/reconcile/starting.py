"""Whether a run starts that has no Job, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed
from strake_api.status import IsolationStatus
from strake_operator import status as moves
from strake_operator.names import job_name
from strake_operator.reconcile.decision import AGAIN_SECONDS, Decision, DropPod, StartRun, StopRun
from strake_operator.reconcile.limits import is_lost, seconds_since
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.reconcile.runs import number_of

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.observed import Observation


def without_run(seen: Observation, status: ImageBuildStatus, now: datetime) -> Decision:
    """Return what to do about a run without a Job: it was deleted, or is to start."""
    if status.attempts and status.job is not None:
        gone = BuildFailed(
            reason=FailureReason.CANCELLED, message=f"Job {status.job} was deleted before it ended"
        )
        failed = moves.failed(status.model_copy(update={"job": None}), gone, now, now)
        # Its ConfigMap is left.
        request = status.created.request if status.created else None
        return Decision(failed, (StopRun(status.job, request=request),))
    if seen.predecessors:
        names = ", ".join(pod.name for pod in seen.predecessors)
        message = f"waiting for the end of pod {names} of the deleted ImageBuild of this name"
        drops = tuple(DropPod(pod.name, pod.uid) for pod in seen.predecessors if is_lost(pod, now))
        return Decision(moves.pending(status, ProgressReason.QUEUED, message, now), drops, AGAIN_SECONDS)
    return start(seen, status, (status.attempts or 0) + 1, now)


def start(seen: Observation, status: ImageBuildStatus, attempt: int, now: datetime) -> Decision:
    """Return how an attempt of a run starts, or why it does not yet."""
    wait = -seconds_since(status.next_attempt_time, now)
    if wait > 0:
        return Decision(status, (), wait)
    build = seen.build
    if attempt == 1 and not isinstance(build.spec, InvalidSpec) and build.spec.suspend:
        words = "spec.suspend is true: nothing starts before it is false"
        return Decision(moves.pending(status, ProgressReason.SUSPENDED, words, now))
    form, why = seen.beginning.form, seen.beginning.why
    number = number_of(status)
    name = job_name(build.name, build.uid, number, attempt, form)
    isolation = IsolationStatus(kind=form.kind, reason=why)
    started = status.model_copy(
        update={
            "job": name,
            "attempts": attempt,
            "start_time": status.start_time or moves.timestamp(now),
            "next_attempt_time": None,
            "isolation": isolation,
        }
    )
    again = status.progress if status.next_attempt_time else None
    message = again or "the builder pod is about to start"
    return Decision(
        moves.pending(started, ProgressReason.POD_PENDING, message, now),
        (StartRun(name, number, attempt, form, why, seen.bases),),
    )
