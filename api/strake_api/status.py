"""ImageBuild's status: what the operator reports, for machines first.

Conditions follow the conventions of kstatus, so that `kubectl wait` and Flux understand a
build without knowing it; Argo CD needs the check in `deploy/argocd`. Timestamps are RFC 3339 in UTC.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated, Literal

from pydantic import Field

from strake_api.models.document import TolerantDocument
from strake_api.models.run_outcome import (
    Failure,
    ImageSizes,
    IsolationStatus,
    PlatformImage,
    ResolvedImage,
    SourceStatus,
)
from strake_api.models.verification import CheckResult

__all__ = [
    "MOST_RUNS",
    "Condition",
    "ConditionType",
    "CreatedObjects",
    "CurrentRun",
    "Failure",
    "HandledRequests",
    "ImageBuildStatus",
    "ImageSizes",
    "IsolationStatus",
    "PartOfRun",
    "PartSource",
    "PartStatus",
    "Phase",
    "PlatformImage",
    "QueueStatus",
    "ResolvedImage",
    "Retry",
    "Run",
    "SourceStatus",
    "Steps",
    "Timestamp",
    "Trigger",
]

MOST_RUNS = 2_000_000_000
"""The highest number of a run, which is a label of its Job."""
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


@unique
class Phase(StrEnum):
    """One word for where the build stands."""

    QUEUED = "Queued"
    PENDING = "Pending"
    FETCHING = "Fetching"
    PULLING = "Pulling"
    BUILDING = "Building"
    PUSHING = "Pushing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@unique
class ConditionType(StrEnum):
    """The conditions that every ImageBuild has."""

    READY = "Ready"
    """The image of this generation is pushed."""
    SUCCEEDED = "Succeeded"
    """How the run ended; Unknown until then."""
    RECONCILING = "Reconciling"
    """The run is queued or under way."""
    STALLED = "Stalled"
    """The run failed for good: only a change of the spec or a rerun starts another."""
    FINISHED = "Finished"
    """The run ended, in whichever way: `kubectl wait --for=condition=Finished` always returns."""


class Condition(TolerantDocument):
    """One aspect of the build's state."""

    type: Annotated[str, Field(max_length=316)]
    """Ready, Succeeded, Reconciling, Stalled or Finished."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one word from the lists in docs/imagebuild.md."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, for a person."""
    last_transition_time: Timestamp
    """When `status` changed the last time."""
    observed_generation: int = 0
    """The generation of the spec that it speaks of."""


class CreatedObjects(TolerantDocument):
    """UIDs of what the operator created for the run: no other object of the names counts."""

    job: str
    request: str | None = None
    """Of the ConfigMap."""


class Steps(TolerantDocument):
    """How far the build is."""

    total: int = 0
    done: int = 0
    """Steps that ran or were taken from the cache."""
    cached: int = 0


@unique
class Trigger(StrEnum):
    """Why a run was started. A pod that is started again after an eviction is an attempt of the same run."""

    SPEC = "Spec"
    """The ImageBuild is new, or its spec changed in what is built."""
    RERUN = "Rerun"
    """The annotation strake.dev/rerun got a new value."""


class QueueStatus(TolerantDocument):
    """The wait of a run that has not started."""

    position: int | None = None
    """Its position among all that wait, from 1, as it was when the operator looked last."""
    since: Timestamp
    """Since when it waits."""
    reason: str | None = None
    """What it waits for: ClusterLimit, NamespaceLimit or Quota."""


class CurrentRun(TolerantDocument):
    """The run that the status is about."""

    number: Annotated[int, Field(ge=1, le=MOST_RUNS)]
    """From 1, over all runs of the ImageBuild. It is in the name of the Job."""
    generation: int
    """The generation of the spec that it was started for."""
    trigger: str
    """Spec or Rerun."""
    requested_by: str | None = None
    """The field manager that set strake.dev/rerun: a program's word for itself, kept by the API server."""
    spec_digest: str | None = None
    """Of what the spec builds: a change of anything else starts no run."""


class HandledRequests(TolerantDocument):
    """The values of annotations that were acted on: each counts once."""

    rerun: str | None = None
    """Of strake.dev/rerun; a long one as its digest."""
    cancel: str | None = None
    """Of strake.dev/cancel, likewise."""


class Retry(TolerantDocument):
    """An attempt of a run after which another one was made."""

    attempt: int
    """Which one, from 1."""
    reason: str
    """Why it failed, from the closed list in docs/imagebuild.md."""
    message: str
    time: Timestamp
    """When it failed."""
    part: str | None = None
    """Of which part of the run, where it has parts."""


class PartSource(SourceStatus):
    """What a source resolved to before the platforms are built from it."""

    name: str | None = None
    """The named context; absent for the build context."""


class PartStatus(TolerantDocument):
    """One Job of a run of several platforms: it resolves sources, builds a platform or makes the index."""

    name: str
    """source, index, or the platform."""
    phase: Phase | None = None
    reason: str | None = None
    """As of the condition Ready, for this part alone."""
    message: str | None = None
    """What it does, or why it failed."""
    digest: str | None = None
    """Of the image of the platform, or of the index: pushed, while tags may still be to move."""
    attestation: str | None = None
    sources: tuple[PartSource, ...] | None = None
    """Of the part source: what all platforms are built from."""
    job: str | None = None
    created: CreatedObjects | None = None
    attempts: int | None = None
    next_attempt_time: Timestamp | None = None
    blocked_since: Timestamp | None = None
    isolation: IsolationStatus | None = None
    steps: Steps | None = None


class PartOfRun(TolerantDocument):
    """What is kept of a part of a run that ended."""

    name: str
    phase: Phase | None = None
    job: str | None = None
    job_uid: str | None = None
    attempts: int | None = None
    log: str | None = None
    """`repository@digest` of its log, where the platform keeps logs."""
    log_failure: str | None = None


class Run(TolerantDocument):
    """A run that ended."""

    number: int | None = None
    generation: int
    trigger: str | None = None
    requested_by: str | None = None
    attempts: int | None = None
    """How many pods it had."""
    retries: tuple[Retry, ...] | None = None
    """The attempts before the last one."""
    phase: Phase
    reason: str
    image: str | None = None
    """`repository@digest` at the first destination."""
    digest: str | None = None
    isolation: str | None = None
    """How its steps were kept apart from the node: nested or chroot."""
    start_time: Timestamp | None = None
    completion_time: Timestamp | None = None
    log: str | None = None
    """`repository@digest` of its log, where the platform keeps logs: `strake logs` prints it."""
    log_failure: str | None = None
    """Why its log is not kept."""
    job: str | None = None
    """Its last Job, which may be gone."""
    job_uid: str | None = None
    """The Job's UID: another one of its name is not kept."""
    parts: tuple[PartOfRun, ...] | None = None
    """Of a run of several platforms: each has a Job and a log of its own."""


class ImageBuildStatus(TolerantDocument):
    """Where the build stands. Written by the operator alone."""

    observed_generation: int = -1
    """The generation of the spec that the rest speaks of."""
    run: CurrentRun | None = None
    """The run that the rest speaks of."""
    last_handled: HandledRequests | None = None
    """The asks for a rerun and a cancel that were acted on."""
    phase: Phase | None = None
    queue: QueueStatus | None = None
    """The wait for a turn, before the run's Job is made."""
    image: str | None = None
    """`repository@digest` at the first destination: what to deploy. Kept while a newer run is under way."""
    digest: str | None = None
    attestation: str | None = None
    """Digest of the manifest with the provenance of the image, in the same repositories."""
    images: tuple[str, ...] | None = None
    references: tuple[str, ...] | None = None
    """`repository@digest` for each destination."""
    platforms: tuple[PlatformImage, ...] | None = None
    parts: tuple[PartStatus, ...] | None = None
    """The Jobs of a run of several platforms, in the order in which they are needed."""
    base_images: tuple[ResolvedImage, ...] | None = None
    source: SourceStatus | None = None
    steps: Steps | None = None
    sizes: ImageSizes | None = None
    """Of a run that succeeded."""
    progress: str | None = None
    """What runs at this moment, best effort."""
    cache_repository: str | None = None
    """Where results of the run's steps are kept: the spec's repository, or the cluster's default."""
    log_repository: str | None = None
    """Where the log of the run goes when it ends."""
    isolation: IsolationStatus | None = None
    """What the builder's pod asks for while the run goes on, and what steps had once it ended."""
    job: str | None = None
    """The run's Job: `kubectl logs job/NAME` shows the build's output."""
    created: CreatedObjects | None = None
    """What the operator created for the run."""
    attempts: int | None = None
    """How many pods this run has had."""
    retries: tuple[Retry, ...] | None = None
    """The attempts of this run before the present one; of many the latest."""
    next_attempt_time: Timestamp | None = None
    """When the next pod starts, where the last one failed for no fault of the build."""
    blocked_since: Timestamp | None = None
    """Since when something keeps the run from starting that makes it fail if it stays."""
    start_time: Timestamp | None = None
    """When the run's first Job was made."""
    completion_time: Timestamp | None = None
    duration: str | None = None
    """From start to completion."""
    failure: Failure | None = None
    verification: tuple[CheckResult, ...] | None = None
    """How the checks of spec.verify ended: of the run that the rest speaks of."""
    warnings: tuple[str, ...] | None = None
    history: tuple[Run, ...] | None = None
    """The last runs that ended, newest first; the current one among them once it ended."""
    undelivered: tuple[int, ...] | None = None
    """Runs of the history whose CloudEvent nobody has received yet, by number."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = ()
    """Ready (the image is pushed), Succeeded, Reconciling, Stalled (it failed for good) and Finished."""
