"""What the operator sees of a build: frozen copies of the cluster's state, free of Kubernetes' types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from strake_operator.isolation import PodForm
from strake_operator.names import CONTAINER, GATEWAY, SOURCE_CONTAINER
from strake_operator.reconcile.admission.admit import ADMITTED, Admission
from strake_operator.reconcile.forms.experience import STRICTEST, Beginning

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from strake_api.imagebuild import ImageBuildSpec
    from strake_api.status import ImageBuildStatus
    from strake_operator.parts import Part
    from strake_operator.reconcile.progress import Progress


@dataclass(frozen=True, slots=True)
class InvalidSpec:
    """A spec that the API server let through and the models refuse."""

    message: str


@dataclass(frozen=True, slots=True)
class Build:
    """An ImageBuild."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    deleting: bool
    spec: ImageBuildSpec | InvalidSpec
    status: ImageBuildStatus
    rerun: str | None = None
    """The value of the annotation that asks for a run."""
    rerun_by: str | None = None
    """The field manager that set it."""
    cancel: str | None = None
    """The value of the annotation that ends a run."""
    queue: str | None = None
    """The queue of Kueue that its Jobs wait in."""
    oddities: tuple[str, ...] = ()
    """What the status had that no operator writes; it is left out of `status`."""

    @property
    def runtime_class(self) -> str | None:
        """The RuntimeClass that the spec names."""
        return None if isinstance(self.spec, InvalidSpec) else self.spec.runtime_class


@dataclass(frozen=True, slots=True)
class Waiting:
    """The builder's container does not run yet, or not again."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Running:
    """The builder runs."""


@dataclass(frozen=True, slots=True)
class Terminated:
    """The builder ended."""

    exit_code: int
    reason: str
    """Kubernetes' word: Completed, Error, OOMKilled …"""
    message: str
    """The termination message: a BuildResult, if the builder lived to write one."""
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class PodContainer:
    """A container of a run's pod: the builder's, or one that keeps it from starting."""

    name: str = CONTAINER
    image: str | None = None
    memory_limit: str | None = None
    """As its spec has it, which rules of the cluster may have changed: 4Gi. None where there is no limit."""

    @property
    def is_own(self) -> bool:
        """Whether it is the operator's, and none that somebody added to the pod."""
        return self.name in {CONTAINER, SOURCE_CONTAINER, GATEWAY}


@dataclass(frozen=True, slots=True)
class Awaited:
    """A container that goes on and keeps the builder from starting."""

    name: str
    until: Literal["end", "start"]
    """What it is to do: a sidecar has to start, by its startup probe."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a run."""

    name: str
    phase: str
    container: Waiting | Running | Terminated | None
    disrupted: str | None
    """Why the infrastructure took the pod away (eviction, drain, preemption), or None."""
    disruption: str = ""
    """The same in one word of Kubernetes: Evicted, PreemptionByScheduler …"""
    subject: PodContainer = PodContainer()
    """The container whose state `container` is."""
    awaited: Awaited | None = None
    """What somebody added to the pod and the builder waits for."""
    fetching: bool = False
    """Whether its init container fetches the source at the moment."""
    unschedulable: str | None = None
    """The scheduler's words, where no node fits."""
    deleting: bool = False
    lost: bool = False
    """Its node does not answer any more."""
    node: str | None = None
    """Where it runs, once that is settled."""
    since: datetime | None = None
    """When the node's kubelet took note of it."""
    ends: datetime | None = None
    """When its grace period is over, where it is being deleted: later only a lost node keeps it."""
    uid: str | None = None
    log_report: str | None = None
    """What the gateway reported of the log as it ended: data of a pod. None while it goes on."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A warning event about a Job or its pod."""

    reason: str
    """FailedCreate, FailedMount …"""
    message: str
    last: datetime | None = None
    """When it happened the last time."""


@dataclass(frozen=True, slots=True)
class BuilderRun:
    """A Job of a build, with what belongs to it."""

    job: str
    number: int
    """Of the run that it is of."""
    attempt: int
    created: datetime
    deleting: bool
    suspended: bool
    failure: str | None
    """Why the Job fails or failed: DeadlineExceeded, BackoffLimitExceeded …"""
    finished: bool
    """The Job ended and so did its pods; until then a failing Job is still ending them."""
    pod: Pod | None
    """Its newest pod."""
    problems: tuple[Problem, ...] = ()
    """Warning events about the Job and its pod, oldest first."""
    form: PodForm = PodForm.NESTED
    """What its pod asks for."""
    why: str | None = None
    """Why the form is no stricter one."""
    bases: tuple[str, ...] = ()
    """The base images that its pod mounts."""
    plain: str | None = None
    """Why it mounts none, where one that did could not start."""
    started: datetime | None = None
    """When the Job's own deadline began to count; None while it is suspended or nobody looked at it."""
    uid: str | None = None
    request: str | None = None
    """The UID of its ConfigMap, where the Job tells it."""
    part: str | None = None
    """The label of the part that it is; None for a run that has none."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything a decision is made from."""

    build: Build
    runs: tuple[BuilderRun, ...]
    progress: Progress | None
    """The progress that the newest run's log tells so far."""
    predecessors: tuple[Pod, ...] = ()
    """Pods that still run for a deleted ImageBuild of the same name."""
    rivals: tuple[tuple[str, str], ...] = ()
    """Other ImageBuilds of the namespace with a destination of this one: (destination, name)."""
    beginning: Beginning = STRICTEST
    """The form that a run begins with, from what the runs before it were given."""
    bases: tuple[str, ...] = ()
    """The base images that a run's pod mounts as it begins."""
    denial: str | None = None
    """What a BuildPolicy forbids of the build."""
    admission: Admission = ADMITTED
    """Whether a run may start now, as far as others go on or wait."""
    strays: tuple[BuilderRun, ...] = ()
    """Jobs with name and owner of a run of this number that the operator is not known to have made."""
    part: Part | None = None
    """The part of the run that it is about; None where a run has none, or about the whole of it."""
    told: Mapping[str, Progress] = field(default_factory=dict)
    """The progress that the log of each Job tells so far, by name."""
