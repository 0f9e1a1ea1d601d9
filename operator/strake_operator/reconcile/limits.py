"""How long things may take: what the operator decides by the clock, whatever a node does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from strake_api.values.duration import parse_duration
from strake_operator.settings.environment import DEADLINE_MARGIN_SECONDS

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.reconcile.observed import BuilderRun, Pod

LOST_SECONDS = 30
"""What a node gets beyond a pod's grace period to end it; then it counts as lost."""
ENDING_SECONDS = 80
"""What a Job gets beyond its deadline: the grace period of its pod, and what a lost node gets."""
SIDECAR_SECONDS = 30
"""How long a pod may go on beside a builder that ended: containers that others put there need not end."""
FIRST_RETRY_SECONDS = 10
LAST_RETRY_SECONDS = 300
"""How long the next pod waits after one that was taken away, and the longest that it grows to: the kubelet's
convention for containers. What refuses a pod or takes it away is rarely over in the same second."""


def retry_delay(attempt: int) -> timedelta:
    """Return how long to wait after an attempt, counted from 1, before the next: 10, 20, 40 … seconds."""
    doublings = min(attempt - 1, LAST_RETRY_SECONDS.bit_length())
    return timedelta(seconds=min(FIRST_RETRY_SECONDS << doublings, LAST_RETRY_SECONDS))


def is_lost(pod: Pod, now: datetime) -> bool:
    """Return whether a pod should be gone for so long that its node does not answer any more."""
    return pod.ends is not None and (now - pod.ends).total_seconds() >= LOST_SECONDS


def seconds_left(run: BuilderRun, spec: ImageBuildSpec, now: datetime) -> float | None:
    """Return how long to wait for a run's end; None for a suspended one, whose time does not count."""
    start = run.started or (None if run.suspended else run.created)
    if start is None:
        return None
    allowed = parse_duration(spec.timeout) + DEADLINE_MARGIN_SECONDS + ENDING_SECONDS
    return allowed - (now - start).total_seconds()


def seconds_since(moment: str | None, now: datetime) -> float:
    """Return how long ago a timestamp of the status is; negative for one that is to come, 0 without one."""
    return 0.0 if moment is None else (now - datetime.fromisoformat(moment)).total_seconds()


def soonest(*seconds: float | None) -> float | None:
    """Return the shortest of several waits; None is no wait at all."""
    return min((each for each in seconds if each is not None), default=None)
