"""What to do where the API server does not take the objects of a run, which was decided to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed
from strake_api.status import QueueStatus
from strake_operator.isolation import is_about_isolation
from strake_operator.reconcile.decision import Decision
from strake_operator.reconcile.ends.advice import with_advice
from strake_operator.reconcile.ends.refuser import no_answer_of, unreachable_webhook
from strake_operator.reconcile.forms.bases import BaseLesson
from strake_operator.reconcile.forms.experience import Lesson, shown_reason
from strake_operator.reconcile.forms.retreat import lesson_of_refusal
from strake_operator.reconcile.limits import seconds_since, soonest
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.reconcile.retention import bounded
from strake_operator.reconcile.runs import begin
from strake_operator.reconcile.starting import seconds_to_wait
from strake_operator.status import ending, moves
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.decision import Action
    from strake_operator.reconcile.observed import Observation
    from strake_operator.settings.environment import Settings

REFUSED_SECONDS = 2.0
"""How soon to try again what a rule of the cluster refuses, during the grace."""
QUOTA_SECONDS = 30.0
"""How soon to try again where the namespace's quota has no room."""


def refused(
    seen: Observation,
    actions: Iterable[Action],
    message: str,
    settings: Settings,
    now: datetime,
    *,
    forbidden: bool,
) -> Decision:
    """Return what to do where the API server refuses the objects of a run.

    Args:
        seen: What the run was decided from.
        actions: What was to be done, the start of the run among it.
        message: The API server's words.
        settings: The platform's settings.
        now: The present.
        forbidden: A rule of the cluster refuses them, which may change within the grace.
    """
    before = begin(seen.build, now)
    lesson = lesson_of_refusal(seen.build, actions, message, settings)
    if lesson is not None:
        # It is the form of the pod that is refused, or its volumes: the next reconcile begins with another.
        match lesson:
            case Lesson():
                words = f"starting as {lesson.form.kind}: {lesson.why}"
            case BaseLesson():
                words = f"starting without base images from the node: {shown_reason(None, message)}"
            case _:
                assert_never(lesson)
        return Decision(
            moves.pending(before, ProgressReason.POD_PENDING, words, now), (), 0.0, lessons=(lesson,)
        )
    if forbidden and "exceeded quota" in message:
        return _waits_for_quota(seen, before, message, now)
    reason = FailureReason.POLICY_DENIED if forbidden else FailureReason.INVALID_REQUEST
    if is_about_isolation(message):
        reason = FailureReason.ISOLATION_UNAVAILABLE
    words = f"the cluster refuses the builder's objects: {message}"
    if forbidden:
        waiting = moves.blocked(before, reason, words, now)
        if seconds_since(waiting.blocked_since, now) < settings.grace_seconds:
            return Decision(waiting, (), REFUSED_SECONDS)
    failure = with_advice(BuildFailed(reason=reason, message=words), settings)
    return _failed(seen, before, failure, now)


def _failed(seen: Observation, before: ImageBuildStatus, failure: BuildFailed, now: datetime) -> Decision:
    failed = ending.failed(before.model_copy(update={"job": None}), failure, now, now)
    return Decision(bounded(failed, seen.build.spec))


def _waits_for_quota(seen: Observation, before: ImageBuildStatus, message: str, now: datetime) -> Decision:
    since = before.queue.since if before.queue else timestamp(now)
    waits = QueueStatus(since=since, reason="Quota")
    status = moves.queued(before, waits, ProgressReason.QUOTA_EXCEEDED, message, now)
    spec = seen.build.spec
    left = None if isinstance(spec, InvalidSpec) else seconds_to_wait(spec, status, now)
    return Decision(status, (), soonest(QUOTA_SECONDS, left))


def foreign(seen: Observation, message: str, now: datetime) -> Decision:
    """Return how a run ends where an object of its name is there already that somebody else made."""
    before = begin(seen.build, now)
    failure = BuildFailed(reason=FailureReason.POLICY_DENIED, message=message)
    return _failed(seen, before, failure, now)


def unavailable(seen: Observation, message: str, now: datetime) -> Decision:
    """Return what to tell where the API server, or a webhook of it, cannot take the objects of a run.

    When to try again is the queue's matter, as after any error of the API server.
    """
    before = begin(seen.build, now)
    words = f"the cluster cannot take the builder's objects at the moment: {message}"
    if (webhook := unreachable_webhook(message)) is not None:
        words = f"{no_answer_of(webhook, 'Job')}: {message}"
    return Decision(moves.pending(before, ProgressReason.CLUSTER_UNAVAILABLE, words, now))


def namespace_ends(seen: Observation, now: datetime) -> Decision:
    """Return what to do where nothing can be made, since the namespace is being deleted: nothing any more.

    That cannot be undone, and the ImageBuild goes with the namespace, sooner or later.
    """
    before = begin(seen.build, now)
    words = f"namespace {seen.build.namespace} is being deleted: nothing starts in it any more"
    return Decision(moves.pending(before, ProgressReason.QUEUED, words, now))


def undeleted(status: ImageBuildStatus, message: str, now: datetime) -> ImageBuildStatus:
    """Return a status where a rule of the cluster keeps a Job or a pod that is to go.

    How a run ended does not change by that, but what it left may go on until its time limit. When to try
    again is the queue's matter, as after any error of the API server.
    """
    words = f"the cluster refuses to delete what is to end: {message}"
    if not ending.is_over(status):
        return moves.pending(status, ProgressReason.CLUSTER_UNAVAILABLE, words, now)
    told = status.warnings or ()
    return status if words in told else status.model_copy(update={"warnings": (*told, words)})
