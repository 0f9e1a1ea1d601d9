"""The status of a run that begins, waits and goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed
from strake_api.status import ConditionType, ImageBuildStatus, Phase
from strake_operator.status.conditions import UNDER_WAY, timestamp, with_truths
from strake_operator.status.ending import failed, is_over, remembered

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.status import CurrentRun, QueueStatus, Steps


def observed(status: ImageBuildStatus, run: CurrentRun, generation: int) -> ImageBuildStatus:
    """Return a status that speaks of a generation which changes nothing of the run."""
    conditions = tuple(
        each.model_copy(update={"observed_generation": generation}) if each.type in UNDER_WAY else each
        for each in status.conditions
    )
    return status.model_copy(update={"observed_generation": generation, "run": run, "conditions": conditions})


def begin(
    status: ImageBuildStatus, before: CurrentRun | None, run: CurrentRun, generation: int, now: datetime
) -> ImageBuildStatus:
    """Return the status that a new run starts from.

    The image of an earlier run stays, since it is what is deployed until there is another; Ready says
    that it is not this run's. So do its base images, which the next pod mounts.

    Args:
        status: That of the run before it.
        before: The run before it.
        run: The new run.
        generation: The ImageBuild's.
        now: The present.
    """
    conditions = status.conditions
    if before is not None and not is_over(status) and status.attempts:
        words = f"run {run.number} took its place"
        superseded = BuildFailed(reason=FailureReason.SUPERSEDED, message=words)
        status = failed(status.model_copy(update={"run": before}), superseded, now, now)
    elif before is not None and is_over(status):
        status = remembered(status.model_copy(update={"run": before}))
    fresh = ImageBuildStatus(
        observed_generation=generation,
        run=run,
        phase=Phase.PENDING,
        image=status.image,
        digest=status.digest,
        images=status.images,
        references=status.references,
        platforms=status.platforms,
        base_images=status.base_images,
        log_repository=status.log_repository,  # of the run before, whose log may be on its way
        attempts=0,
        history=status.history,
        undelivered=status.undelivered,
        conditions=conditions,
    )
    return with_truths(fresh, UNDER_WAY, ProgressReason.QUEUED, "the run is about to start", now)


def under_way(
    status: ImageBuildStatus,
    *,
    phase: Phase,
    reason: ProgressReason | FailureReason,
    message: str,
    now: datetime,
    steps: Steps | None = None,
) -> ImageBuildStatus:
    """Return the status of a run that goes on."""
    changed = status.model_copy(
        update={
            "phase": phase,
            "progress": message,
            "steps": steps if steps is not None else status.steps,
            "blocked_since": None,
        }
    )
    return with_truths(changed, UNDER_WAY, reason, message, now)


def pending(
    status: ImageBuildStatus, reason: ProgressReason | FailureReason, message: str, now: datetime
) -> ImageBuildStatus:
    """Return the status of a run whose builder does not work yet."""
    return under_way(status, phase=Phase.PENDING, reason=reason, message=message, now=now)


def queued(
    status: ImageBuildStatus,
    waits: QueueStatus,
    reason: ProgressReason,
    message: str,
    now: datetime,
) -> ImageBuildStatus:
    """Return the status of a run that waits for its turn."""
    phase = Phase.QUEUED if reason is ProgressReason.QUEUED else Phase.PENDING
    changed = under_way(status, phase=phase, reason=reason, message=message, now=now)
    return changed.model_copy(update={"queue": waits})


def blocked(status: ImageBuildStatus, reason: FailureReason, message: str, now: datetime) -> ImageBuildStatus:
    """Return the status of a run that something keeps from starting, and since when."""
    same = any(each.type == ConditionType.READY and each.reason == reason for each in status.conditions)
    since = status.blocked_since if same and status.blocked_since else timestamp(now)
    changed = under_way(status, phase=Phase.PENDING, reason=reason, message=message, now=now)
    return changed.model_copy(update={"blocked_since": since})
