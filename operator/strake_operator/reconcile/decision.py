"""What a decision is made of: the status to write, and what to start, stop or drop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from strake_operator.isolation import PodForm

if TYPE_CHECKING:
    from strake_api.result import BuildSucceeded
    from strake_api.status import ImageBuildStatus
    from strake_operator.parts import Part
    from strake_operator.reconcile.forms.bases import BaseLesson
    from strake_operator.reconcile.forms.experience import Lesson

AGAIN_SECONDS = 15.0
"""How soon to requeue for what the watches tell in most cases, but need not."""


@dataclass(frozen=True, slots=True)
class StartRun:
    """Create the ConfigMap and the Job of a run."""

    job: str
    number: int
    """Of the run, from 1."""
    attempt: int
    form: PodForm = PodForm.NESTED
    why: str | None = None
    """Why the form is no stricter one."""
    bases: tuple[str, ...] = ()
    """The base images that the pod mounts."""
    plain: str | None = None
    """Why it mounts none, where one that did could not start."""
    part: Part | None = None
    """What the Job does of a run that has parts."""


@dataclass(frozen=True, slots=True)
class StopRun:
    """Delete a Job, its pod and its ConfigMap."""

    job: str
    uid: str | None = None
    """The Job's UID: one of the same name with another is left alone. None: only the ConfigMap is left."""
    request: str | None = None
    """The ConfigMap's UID; None leaves it to the owner reference."""


@dataclass(frozen=True, slots=True)
class DropPod:
    """Delete a pod whose node does not answer, without waiting for the node."""

    pod: str
    uid: str | None = None
    """Its UID: another pod of the name is left alone."""


Action = StartRun | StopRun | DropPod


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, in this order: actions, status, a requeue after `requeue_after` seconds."""

    status: ImageBuildStatus
    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None
    status_first: bool = False
    """Whether the status is written before the actions, since it says whose doing they are."""
    lessons: tuple[Lesson | BaseLesson, ...] = ()
    """What was learned about a node or a namespace, for the runs after this one."""
    result: BuildSucceeded | None = None
    """What the Job reported that ended well."""
