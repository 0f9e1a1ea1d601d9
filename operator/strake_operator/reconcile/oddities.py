"""A status that no operator could have written: somebody changed it by hand, or restored an old one.

Only what contradicts itself is seen; the API server's schema refuses wrong types before. What is odd is left
out, and the rest counts: the Jobs tell again where the build is. It is told in an event, once, since the
status is written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.status import Phase
from strake_operator.status.ending import is_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_api.status import ImageBuildStatus
_GOING_ON = {"phase": Phase.PENDING, "completion_time": None, "duration": None}


def mended(status: ImageBuildStatus, generation: int) -> tuple[ImageBuildStatus, tuple[str, ...]]:
    """Return a status without what is odd about it, and a sentence for each oddity.

    Args:
        status: As it was read.
        generation: The ImageBuild's.
    """
    found = tuple(_oddities(status, generation))
    changes: dict[str, object] = {}
    for change, _ in found:
        changes |= change
    return (status.model_copy(update=changes) if found else status), tuple(words for _, words in found)


def _oddities(status: ImageBuildStatus, generation: int) -> Iterator[tuple[dict[str, object], str]]:
    """Yield each oddity: what to have in its place, and what to say."""
    seen, run, phase = status.observed_generation, status.run, status.phase
    if seen > generation:
        yield {"observed_generation": generation}, f"observedGeneration is {seen}, after {generation}"
    if run is not None and run.generation > generation:
        changed = run.model_copy(update={"generation": generation})
        yield {"run": changed}, f"run.generation is {run.generation}, after {generation}"
    if (status.attempts or 0) < 0:
        yield {"attempts": 0}, f"attempts is {status.attempts}"
    if phase is Phase.SUCCEEDED and not (status.digest and status.image):
        yield dict(_GOING_ON), "phase is Succeeded, and there is no image"
    elif phase is Phase.FAILED and status.failure is None:
        yield dict(_GOING_ON), "phase is Failed, and there is no failure"
    elif not is_over(status) and status.completion_time is not None:
        yield {"completion_time": None, "duration": None}, f"phase is {phase}, and there is a completionTime"
    numbers = [each.number or each.generation for each in status.history or ()]
    newest = run.number if run is not None else None
    if numbers and (numbers != sorted(set(numbers), reverse=True) or (newest and numbers[0] > newest)):
        kept = dict(zip(numbers, status.history or (), strict=True))
        ordered = [kept[each] for each in sorted(kept, reverse=True) if newest is None or each <= newest]
        yield {"history": tuple(ordered) or None}, f"history has the runs {', '.join(map(str, numbers))}"
