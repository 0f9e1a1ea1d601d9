"""A run of two platforms, from states of its Jobs to what is decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from strake_api.imagebuild import ImageBuildSpec
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded, ResolvedSource
from strake_api.status import CreatedObjects, ImageBuildStatus, PartStatus
from strake_operator.parts import part_label
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import Decision, StartRun, StopRun
from strake_operator.reconcile.observed import BuilderRun, Observation, Pod, Running, Waiting
from tests.unit.strake_operator.builders import FAILURE, NOW, SETTINGS, build, ended, pod, run

AMD64, ARM64 = "linux/amd64", "linux/arm64"
COMMIT = "c" * 40
DIGESTS: Final = {AMD64: "sha256:" + "1" * 64, ARM64: "sha256:" + "2" * 64, "index": "sha256:" + "3" * 64}
RESOLVED = BuildSucceeded(sources=(ResolvedSource(revision=COMMIT),))
BUSY = BuildFailed(reason=FailureReason.PUSH_FAILED, message="503", temporary=True)


def spec_of(ref: str = "main", **changes) -> ImageBuildSpec:
    """Return a spec of two platforms: of a branch, which could move, or of a commit."""
    return ImageBuildSpec.model_validate(
        {
            "source": {"git": {"url": "https://git.example/app", "ref": ref}},
            "platforms": [AMD64, ARM64],
            "output": {"destinations": ["r.example/app:{shortRevision}"]},
            **changes,
        }
    )


SEVERAL: Final = spec_of()
FIXED: Final = spec_of(COMMIT)


def result_of(part: str) -> BuildSucceeded:
    return RESOLVED if part == "source" else BuildSucceeded(digest=DIGESTS[part])


def pod_of(part: str, state: str) -> Pod | None:
    """Return the pod of a part's Job in a state."""
    states: dict[str, Pod | None] = {
        "no pod": None,
        "starts": pod(Waiting("ContainerCreating", ""), phase="Pending"),
        "unschedulable": pod(None, phase="Pending", unschedulable="0/1 nodes"),
        "runs": pod(Running()),
        "ended well": pod(ended(result_of(part).to_json(), exit_code=0)),
        "failed": pod(ended(FAILURE.to_json())),
        "busy": pod(ended(BUSY.to_json())),
        "evicted": pod(phase="Failed", disrupted="drain"),
    }
    return states[state]


def job(part: str, state: str = "runs", **changes) -> BuilderRun:
    """Return the first Job of a part."""
    finished = state in {"ended well", "failed", "busy", "evicted"}
    label = part_label(part)
    known = {"job": name_of(part), "part": label, "uid": f"uid-{label}", "finished": finished}
    return run(**{**known, "pod": pod_of(part, state), **changes})


def name_of(part: str) -> str:
    return f"hello-d48f25-1-{part_label(part)}"


def entry(part: str, phase: str | None = "Building") -> PartStatus:
    """Return the entry of a part whose Job was made."""
    if phase is None:
        return PartStatus(name=part)
    label = part_label(part)
    made = CreatedObjects(job=f"uid-{label}")
    known = PartStatus(name=part, phase=phase, job=name_of(part), created=made, attempts=1)
    if phase != "Succeeded":
        return known
    if part == "source":
        sources = [{"revision": COMMIT}]
        return PartStatus.model_validate({**known.model_dump(), "sources": sources})
    return known.model_copy(update={"digest": DIGESTS[part]})


def begun(spec: ImageBuildSpec = SEVERAL) -> ImageBuildStatus:
    """Return the status after the first reconcile of a build."""
    return decide(Observation(build(spec=spec), (), None), SETTINGS, NOW).status


def status_with(*parts: PartStatus, spec: ImageBuildSpec = SEVERAL) -> ImageBuildStatus:
    """Return the status of a run that goes on, with what some of its parts are."""
    known = {each.name: each for each in parts}
    first = begun(spec)
    every = tuple(known.get(each.name) or PartStatus(name=each.name) for each in first.parts or ())
    return first.model_copy(update={"parts": every})


def decided(
    *jobs: BuilderRun, status: ImageBuildStatus | None = None, now=NOW, spec=SEVERAL, **changes
) -> Decision:
    seen = {each: changes.pop(each) for each in ("admission", "denial", "told", "strays") if each in changes}
    return decide(Observation(build(status, spec=spec, **changes), jobs, None, **seen), SETTINGS, now)


def starts(decision: Decision) -> list[str]:
    """Return the parts whose Jobs are made."""
    found = (each.part for each in decision.actions if isinstance(each, StartRun))
    return [each.name for each in found if each is not None]


def stops(decision: Decision) -> list[str]:
    """Return the Jobs that are stopped."""
    return [each.job for each in decision.actions if isinstance(each, StopRun)]


def parts_of(status: ImageBuildStatus) -> dict[str, PartStatus]:
    return {each.name: each for each in status.parts or ()}


LATER = NOW + timedelta(minutes=10)
