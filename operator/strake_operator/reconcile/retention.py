"""What is kept of runs that ended: entries of the history, and Jobs with their pods and ConfigMaps.

The ImageBuild itself is never deleted: where its manifest is applied again and again, as from git, it would
be made and built anew for ever.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from strake_api.spec.retention import Retention
from strake_api.status import Phase
from strake_api.values.duration import parse_duration
from strake_operator.reconcile.limits import SIDECAR_SECONDS, soonest
from strake_operator.reconcile.observed import InvalidSpec, Terminated
from strake_operator.reconcile.runs import number_of

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.status import ImageBuildStatus, Run
    from strake_operator.reconcile.observed import BuilderRun, Observation
    from strake_operator.settings.environment import Settings

HISTORY_LENGTH: Final = 5
"""Entries of a history: in all where the spec gives no number, else of an outcome without one."""


def retention_of(spec: ImageBuildSpec | InvalidSpec) -> Retention:
    """Return what a spec says about runs that ended, empty where it says nothing."""
    return Retention() if isinstance(spec, InvalidSpec) or spec.retention is None else spec.retention


def bounded(status: ImageBuildStatus, spec: ImageBuildSpec | InvalidSpec) -> ImageBuildStatus:
    """Return a status whose history has no more runs than are to be kept."""
    retention, history = retention_of(spec), status.history or ()
    if retention.successful_runs is None and retention.failed_runs is None:
        kept = history[:HISTORY_LENGTH]
    else:
        most = {each: _count(retention, each) for each in (Phase.SUCCEEDED, Phase.FAILED)}
        kept = tuple(
            run
            for at, run in enumerate(history)
            if sum(_outcome(each) is _outcome(run) for each in history[:at]) < most[_outcome(run)]
        )
    return status if kept == history else status.model_copy(update={"history": kept or None})


def _outcome(run: Run) -> Phase:
    return Phase.SUCCEEDED if run.phase is Phase.SUCCEEDED else Phase.FAILED


def _asked(retention: Retention, phase: Phase) -> int | None:
    return retention.successful_runs if phase is Phase.SUCCEEDED else retention.failed_runs


def _count(retention: Retention, phase: Phase) -> int:
    asked = _asked(retention, phase)
    return HISTORY_LENGTH if asked is None else asked


def seconds_kept(
    run: BuilderRun,
    status: ImageBuildStatus,
    spec: ImageBuildSpec | InvalidSpec,
    settings: Settings,
    now: datetime,
) -> float:
    """Return how much longer the objects of a run are kept whose result is on the status."""
    if run.part is not None and not has_ended(run):
        return 0.0  # a part that the end of its run came before
    end = datetime.fromisoformat(status.completion_time) if status.completion_time else run.created
    # Beside a builder that ended there may be the gateway, which has a log to push yet.
    kept = _seconds(status.phase or Phase.FAILED, spec, settings) if run.finished else SIDECAR_SECONDS
    return kept - (now - end).total_seconds()


def _seconds(phase: Phase, spec: ImageBuildSpec | InvalidSpec, settings: Settings) -> int:
    """Return how long the objects of a run are kept that ended like this."""
    retention = retention_of(spec)
    if _asked(retention, phase) == 0:
        return 0
    asked = retention.ttl_after_success if phase is Phase.SUCCEEDED else retention.ttl_after_failure
    return settings.keep_seconds if asked is None else parse_duration(asked)


def without_kept(
    seen: Observation, status: ImageBuildStatus, settings: Settings, now: datetime
) -> tuple[Observation, float | None]:
    """Leave out the Jobs of earlier runs that are kept; return the rest, and the seconds until one goes.

    Without a number of runs in the spec none is kept: the last run's alone, until the next one starts.

    Args:
        seen: What was seen.
        status: With a history of the runs that are to be kept.
        settings: The platform's settings.
        now: The present.
    """
    spec, kept, again = seen.build.spec, set[str](), None
    for run in seen.runs:
        if run.number == number_of(status) or run.deleting or not has_ended(run):
            continue
        left = _seconds_left_of_older(run, status, spec, settings, now)
        if left > 0:
            kept.add(run.job)
            again = soonest(again, left)
    if not kept:
        return seen, None
    return replace(seen, runs=tuple(run for run in seen.runs if run.job not in kept)), again


def _seconds_left_of_older(
    run: BuilderRun,
    status: ImageBuildStatus,
    spec: ImageBuildSpec | InvalidSpec,
    settings: Settings,
    now: datetime,
) -> float:
    """Return how long the Job of an earlier run is kept yet: 0 for one that the history does not know."""
    for entry in status.history or ():
        uids = {entry.job_uid, *(part.job_uid for part in entry.parts or ())}
        is_its = run.uid is not None and entry.number == run.number and run.uid in uids
        if is_its and entry.completion_time and _asked(retention_of(spec), _outcome(entry)):
            passed = (now - datetime.fromisoformat(entry.completion_time)).total_seconds()
            kept = _seconds(_outcome(entry), spec, settings)
            return (kept if run.finished else min(kept, SIDECAR_SECONDS)) - passed
    return 0.0


def has_ended(run: BuilderRun) -> bool:
    """Return whether a run pushes nothing any more: its builder ended, if not yet its gateway."""
    return run.finished or (run.pod is not None and isinstance(run.pod.container, Terminated))
