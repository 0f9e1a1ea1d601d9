"""What to do where the API server does not take the objects of a run, which was decided to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed
from strake_operator import status as moves
from strake_operator.reconcile.decide import AGAIN_SECONDS, Decision
from strake_operator.reconcile.limits import seconds_since

if TYPE_CHECKING:
    from datetime import datetime

    from strake_operator.reconcile.observed import Observation
    from strake_operator.settings import Settings

REFUSED_SECONDS = 2.0
"""How soon to try again what a rule of the cluster refuses, during the grace."""
QUOTA_SECONDS = 30.0
"""How soon to try again where the namespace's quota has no room."""


def refused(
    seen: Observation, message: str, settings: Settings, now: datetime, *, forbidden: bool
) -> Decision:
    """Return what to do where the API server refuses the objects of a run.

    Args:
        seen: What the run was decided from.
        message: The API server's words.
        settings: The platform's settings.
        now: The present.
        forbidden: A rule of the cluster refuses them, which may change within the grace.
    """
    before = moves.begin(seen.build.status, seen.build.generation, now)
    if forbidden and "exceeded quota" in message:
        return Decision(moves.pending(before, ProgressReason.QUOTA_EXCEEDED, message, now), (), QUOTA_SECONDS)
    reason = FailureReason.POLICY_DENIED if forbidden else FailureReason.INVALID_REQUEST
    words = f"the cluster refuses the builder's objects: {message}"
    if forbidden:
        waiting = moves.blocked(before, reason, words, now)
        if seconds_since(waiting.blocked_since, now) < settings.grace_seconds:
            return Decision(waiting, (), REFUSED_SECONDS)
    failure = BuildFailed(reason=reason, message=words)
    return Decision(moves.failed(before.model_copy(update={"job": None}), failure, now, now))


def unavailable(seen: Observation, message: str, now: datetime) -> Decision:
    """Return what to do where the API server, or a webhook of it, cannot take the objects of a run."""
    before = moves.begin(seen.build.status, seen.build.generation, now)
    words = f"the cluster cannot take the builder's objects at the moment: {message}"
    return Decision(moves.pending(before, ProgressReason.CLUSTER_UNAVAILABLE, words, now), (), AGAIN_SECONDS)
