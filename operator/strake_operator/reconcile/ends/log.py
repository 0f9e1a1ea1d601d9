"""Where the log of a run is kept that ended: from what its gateway reported.

The report is data of a pod. A digest is taken from it, if it is one; the repository is what the run was
started with. What is there by that digest only who reads it can tell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.logs.artifact import parse_log_report
from strake_operator.reconcile.runs import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_api.status import ImageBuildStatus, PartOfRun, Run
    from strake_operator.reconcile.observed import BuilderRun

UNKNOWN: Final = "the gateway of its pod ended without a report"


def with_logs(status: ImageBuildStatus, runs: Iterable[BuilderRun]) -> ImageBuildStatus:
    """Return a status whose history tells of logs what the runs' gateways reported.

    Args:
        status: With the runs that ended in its history.
        runs: The Jobs that there are.
    """
    history = status.history or ()
    if status.log_repository is None or all(map(_is_told, history)):
        return status
    runs = tuple(runs)
    told = tuple(_with_log(each, status, runs) for each in history)
    return status if told == history else status.model_copy(update={"history": told})


def _is_told(entry: Run) -> bool:
    if entry.parts is not None:
        return all(part.log or part.log_failure for part in entry.parts)
    return bool(entry.log or entry.log_failure)


def _with_log(entry: Run, status: ImageBuildStatus, runs: tuple[BuilderRun, ...]) -> Run:
    if _is_told(entry):
        return entry
    if entry.parts is not None:
        parts = tuple(_with_log_of_part(part, entry, status, runs) for part in entry.parts)
        return entry if parts == entry.parts else entry.model_copy(update={"parts": parts})
    found = _reported((run for run in runs if _is_of(run, entry, status)), status)
    return entry if found is None else entry.model_copy(update=found)


def _with_log_of_part(
    part: PartOfRun, entry: Run, status: ImageBuildStatus, runs: tuple[BuilderRun, ...]
) -> PartOfRun:
    """Return a part with its log. Its Job is known by its UID, also where it is the present run's."""
    if part.log or part.log_failure or part.job_uid is None:
        return part
    own = (run for run in runs if run.number == entry.number and run.uid == part.job_uid)
    found = _reported(own, status)
    return part if found is None else part.model_copy(update=found)


def _reported(runs: Iterable[BuilderRun], status: ImageBuildStatus) -> dict[str, str] | None:
    """Return what the first gateway that tells anything says; None where none does yet."""
    for run in runs:
        report = run.pod.log_report if run.pod is not None else None
        if report is None:
            continue
        found = parse_log_report(report)
        if found is not None and found.digest is not None:
            return {"log": f"{status.log_repository}@{found.digest}"}
        problem = found.problem if found is not None else ""
        return {"log_failure": problem or UNKNOWN}
    return None


def _is_of(run: BuilderRun, entry: Run, status: ImageBuildStatus) -> bool:
    """Return whether a Job is the last one of a run; that of an earlier run is known by its UID."""
    if (run.number, run.attempt) != (entry.number, entry.attempts):
        return False
    if entry.job is None:  # it was given up: those of the present run are sorted out before
        return run.number == number_of(status)
    return run.job == entry.job and (run.number == number_of(status) or run.uid == entry.job_uid)
