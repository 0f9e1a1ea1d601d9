"""How an ImageBuild's status moves: every change of it is made by one of these pure functions.

A run goes `begin` → `under_way` (any number of times) → `succeeded` or `failed`.
Conditions change all together, so that no reader sees a build that is ready and failed at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed
from strake_api.status import (
    Condition,
    ConditionType,
    Failure,
    ImageBuildStatus,
    IsolationStatus,
    Phase,
    PlatformImage,
    ResolvedImage,
    Run,
    SourceStatus,
    Steps,
)
from strake_api.values.duration import format_duration
from strake_operator.image_sizes import plausible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from strake_api.result import BuildSucceeded
    from strake_api.status import CurrentRun, QueueStatus

Truth = Literal["True", "False", "Unknown"]

LONGEST_HISTORY = 41
"""Entries: what a spec may ask to be kept at most, and one."""
_TERMINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED})

_UNDER_WAY: Mapping[ConditionType, Truth] = {
    ConditionType.READY: "False",
    ConditionType.SUCCEEDED: "Unknown",
    ConditionType.RECONCILING: "True",
    ConditionType.STALLED: "False",
    ConditionType.FINISHED: "False",
}
_SUCCEEDED: Mapping[ConditionType, Truth] = {
    ConditionType.READY: "True",
    ConditionType.SUCCEEDED: "True",
    ConditionType.RECONCILING: "False",
    ConditionType.STALLED: "False",
    ConditionType.FINISHED: "True",
}
_FAILED: Mapping[ConditionType, Truth] = {
    ConditionType.READY: "False",
    ConditionType.SUCCEEDED: "False",
    ConditionType.RECONCILING: "False",
    ConditionType.STALLED: "True",
    ConditionType.FINISHED: "True",
}


def timestamp(moment: datetime) -> str:
    """Return a moment (with a time zone of UTC) as Kubernetes writes it, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_over(status: ImageBuildStatus) -> bool:
    """Return whether the run of a status ended, in whichever way."""
    return status.phase in _TERMINAL


def is_finished(status: ImageBuildStatus, generation: int) -> bool:
    """Return whether the run of this generation ended, in whichever way."""
    return status.observed_generation == generation and is_over(status)


def observed(status: ImageBuildStatus, run: CurrentRun, generation: int) -> ImageBuildStatus:
    """Return a status that speaks of a generation which changes nothing of the run."""
    conditions = tuple(
        each.model_copy(update={"observed_generation": generation}) if each.type in _UNDER_WAY else each
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
    return _conditions(fresh, _UNDER_WAY, ProgressReason.QUEUED, "the run is about to start", now)


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
    )


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
    return _conditions(changed, _UNDER_WAY, reason, message, now)


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


def with_conditions(status: ImageBuildStatus, now: datetime) -> ImageBuildStatus:
    """Return the status of a run that ended with all its conditions: somebody may have removed some."""
    if {each.type for each in status.conditions} >= _FAILED.keys():
        return status
    if status.phase is Phase.SUCCEEDED:
        return _conditions(status, _SUCCEEDED, ProgressReason.PUSHED, f"pushed {status.image}", now)
    reason = status.failure.reason if status.failure else FailureReason.INTERNAL_ERROR
    message = status.failure.message if status.failure else "the run failed; its status was changed by hand"
    return _conditions(status, _FAILED, reason, message, now)


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
            **_end(status, ended),
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
    return remembered(_conditions(changed, _SUCCEEDED, ProgressReason.PUSHED, f"pushed {images[0]}", now))


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
        update={**_reported(status, result), **_end(status, ended), "phase": Phase.FAILED, "failure": failure}
    )
    return remembered(_conditions(changed, _FAILED, result.reason, result.message, now))


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
    }


def _isolation(status: ImageBuildStatus, result: BuildSucceeded | BuildFailed) -> IsolationStatus | None:
    """Return what the builder used; why the pod asked for no more comes before why it got no more."""
    asked, used = status.isolation, result.isolation
    if used is None:
        return asked
    reason = (asked.reason if asked else None) or used.reason
    return IsolationStatus(kind=used.kind, own_proc=used.own_proc, reason=reason)


def _end(status: ImageBuildStatus, ended: datetime) -> dict[str, object]:
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


def _conditions(
    status: ImageBuildStatus,
    truths: Mapping[ConditionType, Truth],
    reason: str,
    message: str,
    now: datetime,
) -> ImageBuildStatus:
    before = {condition.type: condition for condition in status.conditions}
    made = []
    for kind, truth in truths.items():
        old = before.get(kind)
        changed = old is None or old.status != truth
        # The words go where somebody looks for them: on Ready, and on what is true.
        shown = message if truth == "True" or kind is ConditionType.READY else ""
        made.append(
            Condition(
                type=kind,
                status=truth,
                reason=reason,
                message=shown,
                last_transition_time=timestamp(now) if old is None or changed else old.last_transition_time,
                observed_generation=status.observed_generation,
            )
        )
    foreign = tuple(condition for condition in status.conditions if condition.type not in truths)
    return status.model_copy(update={"conditions": (*made, *foreign)})


def repository(destination: str) -> str:
    """Return a destination without its tag."""
    head, slash, name = destination.rpartition("/")
    return head + slash + name.partition(":")[0]
