"""The decision about a run of several platforms: that about one Job, for each part that is due.

    a part that is due      → decided like a run of one platform: started, retried, waited for
    all that were due ended → the next ones are due, when the status has the results of these
    a part fails for good   → the run fails, and the Jobs of the other parts are stopped
    the index is pushed     → the run succeeded; its Job alone moves tags

At most one Job is made at a time, so that what the cluster refuses is about that Job, and the status names
each before the next one is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from strake_api.status import Phase
from strake_operator.parts import IndexPart, part_label
from strake_operator.reconcile.decision import Action, Decision, StartRun, StopRun
from strake_operator.reconcile.limits import soonest
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.reconcile.parts import overall
from strake_operator.reconcile.parts.order import due_parts, names_of, part_of, with_parts
from strake_operator.reconcile.parts.projection import folded, has_started, projected
from strake_operator.reconcile.retention import has_ended
from strake_operator.reconcile.runs import begin
from strake_operator.status.conditions import timestamp
from strake_operator.status.ending import is_over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.status import ImageBuildStatus
    from strake_operator.parts import Part
    from strake_operator.reconcile.forms.bases import BaseLesson
    from strake_operator.reconcile.forms.experience import Lesson
    from strake_operator.reconcile.observed import BuilderRun, Observation
    from strake_operator.settings.environment import Settings


class DecidesOne(Protocol):
    """Decides about a run whose Jobs are all that are seen."""

    def __call__(
        self,
        seen: Observation,
        spec: ImageBuildSpec,
        status: ImageBuildStatus,
        settings: Settings,
        now: datetime,
    ) -> Decision:
        """Return what to do about it."""


@dataclass(frozen=True, slots=True)
class _SoFar:
    """What is decided about the parts that were decided about."""

    status: ImageBuildStatus
    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None
    status_first: bool = False

    @property
    def starts(self) -> bool:
        return any(isinstance(each, StartRun) for each in self.actions)

    def takes(self, decision: Decision) -> bool:
        """Return whether a decision about another part may be carried out together with these.

        A Job is made before the status names it; an attempt is given up on the status before its Job goes.
        """
        starts = any(isinstance(each, StartRun) for each in decision.actions)
        return not ((self.starts and (starts or decision.status_first)) or (starts and self.status_first))


def decide_several(
    seen: Observation,
    spec: ImageBuildSpec,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
    decide_one: DecidesOne,
) -> Decision:
    """Return what to do about a run of several platforms, of whose earlier runs nothing is left.

    Args:
        seen: What is seen of all its Jobs.
        spec: What is built, with several platforms.
        status: Of the run.
        settings: The platform's settings.
        now: The present.
        decide_one: Decides about each part.
    """
    status = with_parts(status, spec)
    so_far = _SoFar(status, _unknown(seen, spec))
    lessons: list[Lesson | BaseLesson] = []
    due = due_parts(spec, status)
    for part in due:
        of_part = projected(seen, so_far.status, part, now)
        decision = decide_one(of_part, spec, of_part.build.status, settings, now)
        if not so_far.takes(decision):
            so_far = _SoFar(so_far.status, so_far.actions, 0.0, so_far.status_first)
            continue
        lessons += decision.lessons
        changed = folded(so_far.status, part, decision)
        if decision.status.phase is Phase.FAILED:
            return _failed(seen, part, status, changed, decision, so_far, now)
        if decision.status.phase is Phase.SUCCEEDED and isinstance(part, IndexPart):
            done = overall.succeeded(changed, decision.status, now)
            return Decision(done, so_far.actions + decision.actions, lessons=tuple(lessons))
        so_far = _SoFar(
            changed,
            so_far.actions + decision.actions,
            soonest(so_far.requeue_after, decision.requeue_after),
            so_far.status_first or decision.status_first,
        )
    names = tuple(part.name for part in due)
    next_due = tuple(part.name for part in due_parts(spec, so_far.status))
    again = so_far.requeue_after if set(next_due) <= set(names) else 0.0
    return Decision(
        overall.under_way(so_far.status, next_due, now),
        so_far.actions,
        again,
        status_first=so_far.status_first,
        lessons=tuple(lessons),
    )


def _unknown(seen: Observation, spec: ImageBuildSpec) -> tuple[Action, ...]:
    """Return what stops Jobs of the run that are none of its parts."""
    labels = set(map(part_label, names_of(spec)))
    return tuple(_stops(seen, lambda run: run.part not in labels))


def _stops(seen: Observation, chosen: Callable[[BuilderRun], bool]) -> Iterator[StopRun]:
    for run in seen.runs:
        if chosen(run) and not run.deleting:
            yield StopRun(run.job, run.uid, run.request)


def _failed(
    seen: Observation,
    part: Part,
    before: ImageBuildStatus,
    status: ImageBuildStatus,
    decision: Decision,
    so_far: _SoFar,
    now: datetime,
) -> Decision:
    """Return the end of a run of which a part failed for good.

    What the other parts would make nobody needs, and their Jobs take room on nodes. Those that ended stay, as
    their logs do. Nothing starts any more, nor what was decided to start a moment ago.
    """
    starts = [each for each in so_far.actions if isinstance(each, StartRun)]
    unmade = {each.part.name for each in starts if each.part is not None}
    parts = tuple(part_of(before, each.name) if each.name in unmade else each for each in status.parts or ())
    status = status.model_copy(update={"parts": parts})
    ended = overall.failed(status, part.name, decision.status, now)
    label = part_label(part.name)
    stops = _stops(seen, lambda run: run.part != label and not has_ended(run))
    others = tuple(each for each in so_far.actions if not isinstance(each, StartRun))
    actions = tuple(dict.fromkeys((*others, *decision.actions, *stops)))
    return Decision(ended, actions, status_first=True, lessons=decision.lessons)


def is_in_parts(status: ImageBuildStatus) -> bool:
    """Return whether a run goes on in parts: it has its slot until it ends, also between two of its Jobs."""
    return has_started(status) and not is_over(status) and status.phase is not Phase.QUEUED


def instead(
    seen: Observation, decision: Decision, now: datetime, refuse: Callable[[Observation], Decision]
) -> Decision:
    """Return what to do where the cluster does not take the Job that was decided to start.

    Args:
        seen: What the decision was made from.
        decision: With the start.
        now: The present.
        refuse: Decides about a run whose Job is not taken.
    """
    starts = (each for each in decision.actions if isinstance(each, StartRun))
    part = next((each.part for each in starts), None)
    if part is None or isinstance(seen.build.spec, InvalidSpec):
        return refuse(seen)
    spec, before = seen.build.spec, _before(seen, seen.build.spec, now)
    found = refuse(projected(seen, before, part, now))
    status = folded(before, part, found)
    if found.status.phase is Phase.FAILED:
        nothing = Decision(found.status, found.actions, lessons=found.lessons)
        # The Jobs of the other parts are stopped when the status says that the run ended.
        ended = _failed(seen, part, before, status, nothing, _SoFar(before), now)
        return Decision(ended.status, lessons=found.lessons)
    again = found.requeue_after
    if again:
        # Until then the Job does not keep those of other parts from starting.
        later = timestamp(now + timedelta(seconds=again))
        entry = part_of(status, part.name).model_copy(update={"next_attempt_time": later})
        parts = tuple(entry if each.name == entry.name else each for each in status.parts or ())
        status = status.model_copy(update={"parts": parts})
    names = tuple(each.name for each in due_parts(spec, status))
    return replace(found, status=overall.under_way(status, names, now))


def _before(seen: Observation, spec: ImageBuildSpec, now: datetime) -> ImageBuildStatus:
    """Return the status of the run before anything was decided about it this time."""
    return with_parts(begin(seen.build, now), spec)
