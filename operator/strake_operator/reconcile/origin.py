"""Which Jobs the operator made: by the UID that the API server gave them when it did.

A name can be guessed, labels and owner references can be copied by anybody who may create Jobs. The UID of
what the operator created no other object can have, and it is on the status, which only the operator writes;
until it is there, the operator's memory has it. What else has the name and the owner of a run is a *stray*:
it tells nothing about the build, and goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_operator.parts import part_label
from strake_operator.reconcile.runs import current, due

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from strake_operator.reconcile.observed import Build, BuilderRun


def sort_out(
    runs: Iterable[BuilderRun], build: Build, made: Collection[str]
) -> tuple[tuple[BuilderRun, ...], tuple[BuilderRun, ...]]:
    """Return the runs that count, and the strays.

    Jobs of other runs count, since all that is done about them is to stop them.

    Args:
        runs: Jobs with the name and the owner of a run.
        build: The ImageBuild.
        made: UIDs of Jobs that this process made for it.
    """
    number = due(build).number
    counted: list[BuilderRun] = []
    strays: list[BuilderRun] = []
    for run in runs:
        known = run.number != number or run.uid in made or _is_on_status(run, build)
        (counted if known else strays).append(run)
    return tuple(counted), tuple(strays)


def _is_on_status(run: BuilderRun, build: Build) -> bool:
    status, now = build.status, current(build.status)
    if now is None or now.number != run.number:
        return False
    if run.part is not None:
        parts = (each for each in status.parts or () if part_label(each.name) == run.part)
        return any(each.created is not None and each.created.job == run.uid for each in parts)
    if status.created is not None:
        return status.created.job == run.uid
    # An operator from before UIDs were kept wrote the name alone.
    return status.job == run.job
