"""What to start in place of a run whose pod's form is refused: the same attempt, in the next form.

The API server, an admission rule, the kubelet, the container runtime or the builder itself may refuse a form,
or the volumes of base images. Nothing was built then, so no attempt counts and nobody waits. The Job that
comes next has a name of its own and is made before the refused one goes: an operator that is stopped between
the two finds both, and goes on with the later one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed, BuildSucceeded
from strake_api.status import IsolationStatus
from strake_operator.isolation import (
    PodForm,
    form_after,
    form_after_builder,
    is_about_isolation,
)
from strake_operator.names import job_name
from strake_operator.reconcile.decision import Decision, StartRun, StopRun
from strake_operator.reconcile.ends.blocker import blocker, is_about_form
from strake_operator.reconcile.ends.outcome import never_ran
from strake_operator.reconcile.forms.bases import BaseLesson, missing_volume, refused_volume
from strake_operator.reconcile.forms.experience import Lesson, shown_reason
from strake_operator.reconcile.observed import Running, Terminated
from strake_operator.status import moves

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from strake_api.status import ImageBuildStatus
    from strake_operator.reconcile.decision import Action
    from strake_operator.reconcile.ends.blocker import Blocker
    from strake_operator.reconcile.observed import Build, BuilderRun, Observation
    from strake_operator.settings.environment import Settings


def retreat(
    seen: Observation,
    run: BuilderRun,
    ended: BuildSucceeded | BuildFailed | None,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
) -> Decision | None:
    """Return how a run goes on whose form or volumes are refused for good; None for any other run.

    Args:
        seen: What the decision is made from.
        run: Its Job.
        ended: How it ended, if it did.
        status: The status so far, of this run.
        settings: The platform's settings.
        now: The present.
    """
    container = run.pod.container if run.pod is not None else None
    after: PodForm | None = None
    words = ""
    if isinstance(ended, BuildFailed) and isinstance(container, Terminated):
        words = container.message if never_ran(container) else ended.message
        if never_ran(container) and run.pod is not None and is_about_form(run.pod.subject, words):
            after = form_after(run.form, words, settings.isolation)
        elif ended.reason is FailureReason.ISOLATION_UNAVAILABLE:
            after = form_after_builder(run.form, settings.isolation)
    elif ended is None and not isinstance(container, Running | Terminated):
        found = blocker(run)
        if found is not None and found.reason is FailureReason.ISOLATION_UNAVAILABLE:
            words = found.words
            after = form_after(run.form, words, settings.isolation)
    if after is not None:
        return _start(seen, run, after, words, status, now)
    missing = _missing_volume(run, now) if ended is None else None
    return None if missing is None else _start_plain(seen, run, missing, status, now)


def _missing_volume(run: BuilderRun, now: datetime) -> tuple[str | None, str] | None:
    """Return the volume that a run does not get: from the cluster's rules, or from the kubelet."""
    found = blocker(run) if run.pod is None else None
    if found is not None and not found.temporary and refused_volume(found.words, run.bases):
        return None, found.words
    return missing_volume(run, now)


def retreat_at_last(
    seen: Observation,
    run: BuilderRun,
    found: Blocker,
    status: ImageBuildStatus,
    settings: Settings,
    now: datetime,
) -> Decision | None:
    """Return how a run goes on that could not start on its node for as long as is waited for."""
    if found.reason is not FailureReason.UNSUPPORTED or not found.words:
        return None
    after = form_after(run.form, found.words, settings.isolation)
    return None if after is None else _start(seen, run, after, found.words, status, now)


def _start(
    seen: Observation, run: BuilderRun, after: PodForm, words: str, status: ImageBuildStatus, now: datetime
) -> Decision:
    build = seen.build
    node = run.pod.node if run.pod is not None else None
    why = shown_reason(node, words)
    # What the cluster refused of the form after this one already is not asked again.
    form = max(after, seen.beginning.form, key=lambda each: each.rank)
    bases = () if run.plain else seen.bases
    plain, part = run.plain is not None, run.part
    name = job_name(build.name, build.uid, run.number, run.attempt, form, plain=plain, part=part)
    started = status.model_copy(
        update={"job": name, "isolation": IsolationStatus(kind=form.kind, reason=why), "blocked_since": None}
    )
    message = f"starting again as {form.kind}: {why}"
    return Decision(
        moves.pending(started, ProgressReason.POD_PENDING, message, now),
        (
            StartRun(name, run.number, run.attempt, form, why, bases, run.plain, seen.part),
            StopRun(run.job, run.uid, run.request),
        ),
        lessons=(Lesson(node, build.namespace, form, why, build.runtime_class),),
    )


def _start_plain(
    seen: Observation,
    run: BuilderRun,
    missing: tuple[str | None, str],
    status: ImageBuildStatus,
    now: datetime,
) -> Decision:
    """Start a run again without the volumes of base images, in the same form."""
    build = seen.build
    reference, words = missing
    why = shown_reason(run.pod.node if run.pod is not None else None, words)
    name = job_name(build.name, build.uid, run.number, run.attempt, run.form, plain=True, part=run.part)
    started = status.model_copy(update={"job": name, "blocked_since": None})
    message = f"starting again without base images from the node: {why}"
    return Decision(
        moves.pending(started, ProgressReason.POD_PENDING, message, now),
        (
            StartRun(name, run.number, run.attempt, run.form, run.why, (), why, seen.part),
            StopRun(run.job, run.uid, run.request),
        ),
        lessons=(BaseLesson(build.namespace, reference),),
    )


def worked(seen: Observation, run: BuilderRun, ended: BuildSucceeded | BuildFailed) -> tuple[Lesson, ...]:
    """Return what a run that ended teaches about its node: that it gives a nested pod."""
    if ended.isolation is None or ended.isolation.kind != "nested" or run.pod is None or run.pod.node is None:
        return ()
    build = seen.build
    return (Lesson(run.pod.node, build.namespace, run.form, runtime_class=build.runtime_class),)


def lesson_of_refusal(
    build: Build, actions: Iterable[Action], words: str, settings: Settings
) -> Lesson | BaseLesson | None:
    """Return what to learn where the API server refuses the Job of a form; None for other refusals."""
    for start in actions:
        if isinstance(start, StartRun) and refused_volume(words, start.bases):
            return BaseLesson(build.namespace, None)
        if isinstance(start, StartRun) and is_about_isolation(words):
            after = form_after(start.form, words, settings.isolation)
            if after is None:
                return None
            return Lesson(None, build.namespace, after, shown_reason(None, words), build.runtime_class)
    return None
