"""Which runs ended with a change of a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_operator.status import ending

if TYPE_CHECKING:
    from strake_api.status import ImageBuildStatus


def newly_ended(before: ImageBuildStatus, after: ImageBuildStatus) -> tuple[int, ...]:
    """Return the numbers of the runs that are over in one status and were not in the one before it.

    A run whose place a newer one took ends with the begin of that, so two may end at once.
    """
    known = {run.number or run.generation for run in before.history or ()}
    latest = max(known, default=0)
    if ending.is_over(before) and before.run is not None:
        latest = max(latest, before.run.number)
    numbers = (run.number or run.generation for run in after.history or ())
    return tuple(number for number in numbers if number > latest)
