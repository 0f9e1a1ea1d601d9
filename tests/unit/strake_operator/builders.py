"""Observations for tests, made of what a test names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from strake_api.imagebuild import ImageBuildSpec
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded, StepCounts
from strake_api.status import ImageBuildStatus
from strake_operator.reconcile.observed import (
    Build,
    BuilderRun,
    Observation,
    Pod,
    Problem,
    Running,
    Terminated,
)
from strake_operator.settings.environment import Settings

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "d" * 64
SETTINGS = Settings(builder_image="strake/builder:test")
SPEC = ImageBuildSpec.model_validate(
    {
        "source": {"inline": {"Dockerfile": "FROM scratch"}},
        "output": {"destinations": ["r.example:5000/app:1", "r.example/copy:2"]},
    }
)
SUCCESS = BuildSucceeded(
    digest=DIGEST, config_digest=DIGEST, platform="linux/amd64", steps=StepCounts(total=4, run=1, cached=3)
)
FAILURE = BuildFailed(
    reason=FailureReason.RUN_STEP_FAILED,
    message="RUN make ended with status 2",
    line=3,
    exit_code=2,
    log_tail=("one", "two"),
)


def spec_of(generation: int) -> ImageBuildSpec:
    """Return a spec that differs from that of any other generation in what is built."""
    return SPEC if generation == 1 else SPEC.model_copy(update={"target": f"stage-{generation}"})


def build(status: ImageBuildStatus | None = None, **changes) -> Build:
    fields = {
        "namespace": "team",
        "name": "hello",
        "uid": "uid-1",
        "generation": 1,
        "resource_version": "7",
        "deleting": False,
        "spec": spec_of(changes.get("generation", 1)),
        "status": status or ImageBuildStatus(),
    }
    return Build(**{**fields, **changes})


def pod(container=None, **changes) -> Pod:
    fields = {"name": "hello-1-x", "phase": "Running", "container": container, "disrupted": None}
    return Pod(**{**fields, **changes})


def run(**changes) -> BuilderRun:
    fields = {
        "job": "hello-1",
        "number": 1,
        "attempt": 1,
        "created": NOW - timedelta(seconds=5),
        "deleting": False,
        "suspended": False,
        "failure": None,
        "finished": False,
        "pod": pod(Running()),
    }
    return BuilderRun(**{**fields, **changes})


def problem(message: str, *, reason: str = "FailedMount", last: datetime | None = None) -> Problem:
    return Problem(reason, message, last)


def ended(message: str, *, exit_code: int = 1, reason: str = "Error") -> Terminated:
    return Terminated(exit_code, reason, message, NOW)


def seen(*runs: BuilderRun, status: ImageBuildStatus | None = None, progress=None, **changes) -> Observation:
    return Observation(build(status, **changes), runs, progress)


def truths(status: ImageBuildStatus) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


async def no_log(_namespace: str, _pod: str) -> AsyncIterator[bytes]:
    """Yield the lines of a pod that writes none."""
    nothing: tuple[bytes, ...] = ()
    for line in nothing:
        yield line


def reason(status: ImageBuildStatus) -> str:
    return next(condition.reason for condition in status.conditions if condition.type == "Ready")
