"""The status of a run that ended: what was reported, its conditions, and its entry in the history."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.status import (
    ConditionType,
    Failure,
    IsolationStatus,
    PartOfRun,
    Phase,
    PlatformImage,
    ResolvedImage,
    Run,
    SourceStatus,
    Steps,
)
from strake_api.values.duration import format_duration
from strake_operator.image_sizes import plausible
from strake_operator.status.conditions import FAILED, SUCCEEDED, timestamp, with_truths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from strake_api.result import BuildFailed, BuildSucceeded
    from strake_api.status import ImageBuildStatus, PartStatus

LONGEST_HISTORY = 41
"""Entries: what a spec may ask to be kept at most, and one."""
_TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED})


def is_over(status: ImageBuildStatus) -> bool:
    """Return whether the run of a status ended, in whichever way."""
    return is_end(status.phase)


def is_end(phase: Phase | None) -> bool:
    """Return whether nothing comes after a phase."""
    return phase in _TERMINAL


def is_finished(status: ImageBuildStatus, generation: int) -> bool:
    """Return whether the run of this generation ended, in whichever way."""
    return status.observed_generation == generation and is_over(status)


def succeeded(
    status: ImageBuildStatus,
    result: BuildSucceeded,
    destinations: Sequence[str],
    ended: datetime,
    now: datetime,
) -> ImageBuildStatus:
    """Return the status of a run whose image is pushed."""
    images = tuple(f"{repository(destination)}@{result.digest}" for destination in destinations)
    changed = status.model_copy(
        update={
            **_reported(status, result),
            **end(status, ended),
            "phase": Phase.SUCCEEDED,
            # Instructions that only change the config are neither run nor cached, and done all the same.
            "steps": Steps(total=result.steps.total, done=result.steps.total, cached=result.steps.cached),
            "sizes": plausible(result.sizes),
            "image": images[0],
            "images": images,
            "references": result.references or None,
            "digest": result.digest,
            "attestation": result.attestation,
            "platforms": result.platform and (PlatformImage(platform=result.platform, digest=result.digest),),
            "failure": None,
        }
    )
    return remembered(with_truths(changed, SUCCEEDED, ProgressReason.PUSHED, f"pushed {images[0]}", now))


def failed(status: ImageBuildStatus, result: BuildFailed, ended: datetime, now: datetime) -> ImageBuildStatus:
    """Return the status of a run that will not be tried again."""
    failure = Failure(
        reason=result.reason,
        message=result.message,
        file=result.file,
        line=result.line,
        instruction=result.instruction,
        exit_code=result.exit_code,
        log_tail="\n".join(result.log_tail) or None,
    )
    changed = status.model_copy(
        update={
            **_reported(status, result),
            **end(status, ended),
            "phase": Phase.FAILED,
            "failure": failure,
            "sizes": None,
            "parts": None if status.parts is None else closed(status.parts, "stopped: the run ended"),
        }
    )
    return remembered(with_truths(changed, FAILED, result.reason, result.message, now))


def failed_in(
    status: ImageBuildStatus, part: str, of_part: ImageBuildStatus, ended: datetime, now: datetime
) -> ImageBuildStatus:
    """Return the status of a run that failed since a part of it did.

    Args:
        status: Of the run.
        part: The part's name, which the message begins with.
        of_part: Of the part, as if it were a run, with its failure.
        ended: When it did.
        now: The present.
    """
    untold = Failure(reason=FailureReason.INTERNAL_ERROR, message="it failed without a reason")
    failure = of_part.failure or untold
    failure = failure.model_copy(update={"message": f"{part}: {failure.message}"})
    changed = status.model_copy(update={**end(status, ended), "phase": Phase.FAILED, "failure": failure})
    return remembered(with_truths(changed, FAILED, failure.reason, failure.message, now))


def closed(parts: Iterable[PartStatus], words: str) -> tuple[PartStatus, ...]:
    """Return the parts of a run that ended: those that had not ended are stopped."""
    stopped = {
        "phase": Phase.FAILED,
        "reason": FailureReason.CANCELLED,
        "message": words,
        "next_attempt_time": None,
        "blocked_since": None,
    }
    return tuple(each if is_end(each.phase) else each.model_copy(update=stopped) for each in parts)


def with_conditions(status: ImageBuildStatus, now: datetime) -> ImageBuildStatus:
    """Return the status of a run that ended with all its conditions: somebody may have removed some."""
    if {each.type for each in status.conditions} >= FAILED.keys():
        return status
    if status.phase is Phase.SUCCEEDED:
        return with_truths(status, SUCCEEDED, ProgressReason.PUSHED, f"pushed {status.image}", now)
    reason = status.failure.reason if status.failure else FailureReason.INTERNAL_ERROR
    message = status.failure.message if status.failure else "the run failed; its status was changed by hand"
    return with_truths(status, FAILED, reason, message, now)


def remembered(status: ImageBuildStatus) -> ImageBuildStatus:
    """Return the status of a run that ended with the run in its history, once."""
    history, made = status.history or (), _summary(status)
    if history and (history[0].number or history[0].generation) == made.number:
        history = history[1:]
    return status.model_copy(update={"history": (made, *history)[:LONGEST_HISTORY]})


def _summary(status: ImageBuildStatus) -> Run:
    # Conditions may have been taken away by hand; the rest says as much.
    known = status.failure.reason if status.failure else ProgressReason.PUSHED
    reasons = (each.reason for each in status.conditions if each.type == ConditionType.READY)
    run = status.run
    return Run(
        number=run.number if run else status.observed_generation,
        generation=run.generation if run else status.observed_generation,
        trigger=run.trigger if run else None,
        requested_by=run.requested_by if run else None,
        attempts=status.attempts,
        retries=status.retries,
        phase=status.phase or Phase.FAILED,
        reason=next(reasons, known),
        image=status.image if status.phase is Phase.SUCCEEDED else None,
        digest=status.digest if status.phase is Phase.SUCCEEDED else None,
        isolation=status.isolation.kind if status.isolation else None,
        start_time=status.start_time,
        completion_time=status.completion_time,
        job=status.job,
        job_uid=status.created.job if status.created and status.job else None,
        parts=None if status.parts is None else tuple(map(_kept, status.parts)),
    )


def _kept(part: PartStatus) -> PartOfRun:
    uid = part.created.job if part.created and part.job else None
    return PartOfRun(name=part.name, phase=part.phase, job=part.job, job_uid=uid, attempts=part.attempts)


def _reported(status: ImageBuildStatus, result: BuildSucceeded | BuildFailed) -> dict[str, object]:
    """Return what both outcomes carry; the operator's own warnings stay before the builder's."""
    # Steps of a nested pod cannot write a result; only such a result may name what the next pod mounts.
    is_builders = status.isolation is not None and status.isolation.kind == "nested"
    bases = tuple(
        ResolvedImage(
            reference=base.reference, digest=base.digest, manifest=base.manifest if is_builders else None
        )
        for base in result.base_images
    )
    warnings = (*(status.warnings or ()), *(warning.message for warning in result.warnings))
    steps = Steps(
        total=result.steps.total,
        done=result.steps.run + result.steps.cached,
        cached=result.steps.cached,
    )
    return {
        "base_images": bases or status.base_images,
        "source": SourceStatus.resolved(result.source_revision, result.source_digest),
        "steps": steps if steps.total else None,
        "isolation": _isolation(status, result),
        "warnings": warnings or None,
        "verification": result.verification or None,
    }


def _isolation(status: ImageBuildStatus, result: BuildSucceeded | BuildFailed) -> IsolationStatus | None:
    """Return what the builder used; why the pod asked for no more comes before why it got no more."""
    asked, used = status.isolation, result.isolation
    if used is None:
        return asked
    reason = (asked.reason if asked else None) or used.reason
    return IsolationStatus(kind=used.kind, own_proc=used.own_proc, reason=reason)


def end(status: ImageBuildStatus, ended: datetime) -> dict[str, object]:
    """Return what the end of a run, in whichever way, changes of its status."""
    duration = None
    if status.start_time is not None:
        started = datetime.fromisoformat(status.start_time)
        duration = format_duration((ended - started).total_seconds())
    return {
        "completion_time": timestamp(ended),
        "duration": duration,
        "progress": None,
        "queue": None,
        "blocked_since": None,
        "next_attempt_time": None,
    }


def repository(destination: str) -> str:
    """Return a destination without its tag."""
    head, slash, name = destination.rpartition("/")
    return head + slash + name.partition(":")[0]
