"""One part of a run, seen as a run of its own, and back: what lets one decision do for both.

A part's entry of the status takes the fields of a run of one platform, and its Jobs are all the Jobs that
there are. What is decided then about Job, attempt, form and failure is put into the part's entry; the rest of
the status follows from all entries (`overall`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from strake_api.reasons import ProgressReason
from strake_api.result import shorten
from strake_api.status import (
    Condition,
    ConditionType,
    ImageSizes,
    PartSource,
    PartStatus,
    Phase,
    SourceStatus,
)
from strake_operator.parts import PlatformPart, SourcePart, part_label
from strake_operator.reconcile.admission.admit import ADMITTED
from strake_operator.reconcile.observed import Running
from strake_operator.reconcile.parts.order import part_of
from strake_operator.reconcile.retries import REMEMBERED
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from strake_api.models.verification import CheckResult
    from strake_api.status import ImageBuildStatus
    from strake_operator.parts import Part
    from strake_operator.reconcile.decision import Decision
    from strake_operator.reconcile.observed import BuilderRun, Observation
    from strake_operator.reconcile.progress import Progress

_SHOWN: Final = 300
"""Characters of what a part shows: with sixteen platforms a status has several thousand of them."""


def has_started(status: ImageBuildStatus) -> bool:
    """Return whether a part of a run has had a Job, so that the run has its slot."""
    return any(each.attempts for each in status.parts or ())


def projected(seen: Observation, status: ImageBuildStatus, part: Part, now: datetime) -> Observation:
    """Return what is seen of a part, as if it were a run.

    Args:
        seen: What is seen of the whole run.
        status: Of the whole run, as far as it is decided.
        part: Which part.
        now: The present.
    """
    label = part_label(part.name)
    runs = tuple(run for run in seen.runs if run.part == label)
    return replace(
        seen,
        build=replace(seen.build, status=_of_part(status, part_of(status, part.name), now)),
        runs=runs,
        progress=_progress(seen, runs),
        part=part,
        bases=(),  # those of the last run are of one platform's manifests
        admission=ADMITTED if has_started(status) else seen.admission,
        strays=(),
    )


def _progress(seen: Observation, runs: Iterable[BuilderRun]) -> Progress | None:
    going = (each.job for each in runs if each.pod is not None and isinstance(each.pod.container, Running))
    return next((seen.told[job] for job in going if job in seen.told), None)


def _of_part(status: ImageBuildStatus, part: PartStatus, now: datetime) -> ImageBuildStatus:
    """Return the status of a run whose only Jobs are those of a part."""
    conditions: tuple[Condition, ...] = ()
    if part.reason is not None:
        # Since when something blocks a run is told by whether it is the same that did so before.
        ready = Condition(
            type=ConditionType.READY, status="False", reason=part.reason, last_transition_time=timestamp(now)
        )
        conditions = (ready,)
    return status.model_copy(
        update={
            "phase": part.phase or Phase.PENDING,
            "progress": part.message,
            "job": part.job,
            "created": part.created,
            "attempts": max(part.attempts or 0, 0),
            "retries": tuple(each for each in status.retries or () if each.part == part.name) or None,
            "next_attempt_time": part.next_attempt_time,
            "blocked_since": part.blocked_since,
            "isolation": part.isolation,
            "steps": part.steps,
            "conditions": conditions,
            "failure": None,
            "warnings": None,
            "base_images": None,
            "source": None,
            "sizes": None,
            "verification": None,
            "history": None,
            "parts": None,
        }
    )


def folded(status: ImageBuildStatus, part: Part, decision: Decision) -> ImageBuildStatus:
    """Return the status of a whole run after what was decided about a part of it.

    Phase, conditions and progress of the whole are as before: they follow from all parts.
    """
    sub = decision.status
    made = _entry(part, decision)
    noted = tuple(each.model_copy(update={"part": part.name}) for each in sub.retries or ())
    retries = (*(status.retries or ()), *(each for each in noted if each not in (status.retries or ())))
    warnings = dict.fromkeys((*(status.warnings or ()), *(sub.warnings or ())))
    changes: dict[str, object] = {
        "parts": tuple(made if each.name == part.name else each for each in status.parts or ()),
        "start_time": status.start_time or sub.start_time,
        "queue": None if has_started(status) else sub.queue,
        "retries": retries[-REMEMBERED:] or None,
        "warnings": tuple(warnings) or None,
        "verification": _checks(status.verification, sub.verification),
        "source": status.source or _source(made) or sub.source,
    }
    if not has_started(status):
        changes |= {"cache_repository": sub.cache_repository, "log_repository": sub.log_repository}
    if made.phase is Phase.SUCCEEDED:
        changes |= {"sizes": _added(status.sizes, sub.sizes), "base_images": _bases(status, sub)}
    return status.model_copy(update=changes)


def _checks(
    known: tuple[CheckResult, ...] | None, made: tuple[CheckResult, ...] | None
) -> tuple[CheckResult, ...] | None:
    """Return the checks of all platforms; of one that was tried again those of the last attempt."""
    anew = {_identity(each) for each in made or ()}
    return (*(each for each in known or () if _identity(each) not in anew), *(made or ())) or None


def _identity(check: CheckResult) -> tuple[str | None, str | None, str]:
    return check.platform, check.policy, check.name


def _entry(part: Part, decision: Decision) -> PartStatus:
    sub, result = decision.status, decision.result
    reasons = (each.reason for each in sub.conditions if each.type == ConditionType.READY)
    message = sub.failure.message if sub.failure is not None else sub.progress
    has_image = sub.phase is Phase.SUCCEEDED and not isinstance(part, SourcePart)
    return PartStatus(
        name=part.name,
        phase=sub.phase,
        reason=None if sub.phase is Phase.SUCCEEDED else next(reasons, ProgressReason.QUEUED),
        message=None if message is None else shorten(message, _SHOWN),
        digest=sub.digest if has_image else None,
        attestation=sub.attestation if has_image else None,
        sources=_sources(decision) if result is not None and isinstance(part, SourcePart) else None,
        job=sub.job,
        created=sub.created,
        attempts=sub.attempts,
        next_attempt_time=sub.next_attempt_time,
        blocked_since=sub.blocked_since,
        isolation=sub.isolation,
        steps=sub.steps if isinstance(part, PlatformPart) else None,
    )


def _sources(decision: Decision) -> tuple[PartSource, ...] | None:
    found = decision.result.sources if decision.result is not None else ()
    return tuple(
        PartSource(name=each.name or None, revision=each.revision, digest=each.digest) for each in found
    )


def _source(made: PartStatus) -> SourceStatus | None:
    """Return what the build context resolved to, as the part `source` has it, which runs no step."""
    resolved = made.sources[0] if made.sources else None
    return None if resolved is None else SourceStatus.resolved(resolved.revision, resolved.digest)


def _added(one: ImageSizes | None, other: ImageSizes | None) -> ImageSizes | None:
    if one is None or other is None:
        return one or other
    return ImageSizes(
        compressed=one.compressed + other.compressed,
        pushed=one.pushed + other.pushed,
        pulled=one.pulled + other.pulled,
    )


def _bases(status: ImageBuildStatus, sub: ImageBuildStatus) -> object:
    """Return the base images of all platforms that are built; before the first is, those of the last run."""
    known = status.base_images or () if any(each.digest for each in status.parts or ()) else ()
    found = (each.model_copy(update={"manifest": None}) for each in sub.base_images or ())
    return tuple(dict.fromkeys((*known, *found))) or status.base_images
