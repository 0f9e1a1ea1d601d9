"""Whether a run that failed starts again, as its next attempt.

An attempt is a pod of a run, and one counter has them all: pods that the infrastructure took away, and those
whose build failed for what may be over in a minute. What the build itself is to blame for fails again, so it
is never tried again; a result that was forged, where steps share a container with the builder, gets no more
attempts than its own spec gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.reasons import RETRYABLE, FailureReason, ProgressReason
from strake_api.result import shorten
from strake_api.status import Retry
from strake_operator.reconcile.decision import Action, Decision, StopRun
from strake_operator.reconcile.limits import retry_delay
from strake_operator.status import moves
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.result import BuildFailed
    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.observed import BuilderRun
    from strake_operator.settings.environment import Settings

REMEMBERED: Final = 10
"""Attempts that the status tells of, the latest."""
_SHOWN: Final = 300
_OF_SERVERS: Final = frozenset(
    {
        FailureReason.BASE_IMAGE_PULL_FAILED,
        FailureReason.INTERNAL_ERROR,
        FailureReason.PUSH_FAILED,
        FailureReason.SIGNING_FAILED,
        FailureReason.SOURCE_FETCH_FAILED,
        FailureReason.STEP_FAILED,
    }
)
"""Failures behind which there may be a server that is in trouble, where the builder tells so."""


def attempts_allowed(failure: BuildFailed, spec: ImageBuildSpec, settings: Settings) -> int:
    """Return how many attempts a run may have in all that failed like this."""
    asked = 1 + spec.retries
    if failure.reason in RETRYABLE:
        return max(settings.attempts, asked)
    return asked if failure.temporary and failure.reason in _OF_SERVERS else 1


def retried(
    run: BuilderRun,
    failure: BuildFailed,
    spec: ImageBuildSpec,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
    more: tuple[Action, ...] = (),
) -> Decision | None:
    """Return how a run goes on whose attempt failed; None where that was its last one.

    Args:
        run: The attempt's Job.
        failure: How it failed.
        spec: What is built.
        status: The status so far, of this run.
        settings: The platform's settings.
        now: The present.
        more: What else is to be done to end the attempt.
    """
    allowed = attempts_allowed(failure, spec, settings)
    if run.attempt >= allowed:
        return None
    delay = retry_delay(run.attempt)
    noted = Retry(
        attempt=run.attempt,
        reason=failure.reason,
        message=shorten(failure.message, _SHOWN),
        time=timestamp(now),
    )
    given_up = status.model_copy(
        update={
            "job": None,
            "next_attempt_time": timestamp(now + delay),
            "retries": (*(status.retries or ()), noted)[-REMEMBERED:],
        }
    )
    waiting = moves.pending(given_up, ProgressReason.POD_PENDING, words_of(noted), now)
    # Written first: a Job that is gone without it would be somebody else's doing.
    stop = StopRun(run.job, run.uid, run.request)
    return Decision(waiting, (stop, *more), delay.total_seconds(), status_first=True)


def words_of(retry: Retry) -> str:
    """Return what a run shows that is about to start again."""
    return f"starting again after {retry_delay(retry.attempt).seconds} s: {retry.message}"
