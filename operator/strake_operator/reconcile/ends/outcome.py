"""How a run ended: from what the builder wrote and what Kubernetes says of its pod.

The builder's own words come first, but for what it cannot know: that the kernel killed it at its
memory limit, or that the signal it got meant an eviction or the Job's deadline.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason
from strake_api.result import TERMINATION_MESSAGE_LIMIT, BuildFailed, BuildSucceeded, parse_result
from strake_api.values.destinations import sample, tag_of, tag_pattern
from strake_oci.errors import OCIError
from strake_oci.spec.reference import Reference
from strake_operator.parts import SOURCE
from strake_operator.reconcile.ends.added import held_back
from strake_operator.reconcile.ends.blocker import blocker, cannot_start
from strake_operator.reconcile.ends.disruption import evicted, node_silent, taken_away
from strake_operator.reconcile.ends.killed import killed_for_memory, last_lines
from strake_operator.reconcile.observed import Terminated

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.reconcile.observed import BuilderRun, Pod

_SHOWN = 300
_LOST = {"ContainerStatusUnknown", "Unknown"}
"""The words of the kubelet and of containerd for a container that was gone when its node came back."""
_NEVER_RAN = {"StartError", "ContainerCannotRun"}
"""The words of containerd and of CRI-O and Docker for a container that could not be started."""


def outcome(run: BuilderRun, spec: ImageBuildSpec) -> BuildSucceeded | BuildFailed | None:
    """Return how a run of a spec ended; None while it goes on."""
    pod = run.pod
    if pod is not None and isinstance(pod.container, Terminated):
        return _of_container(run, pod, pod.container, spec)
    if pod is not None and pod.disrupted is not None and pod.phase == "Failed":
        return taken_away(pod)
    if pod is not None and pod.lost:
        return node_silent(pod.node)
    if not run.finished and (pod is not None or run.failure is None):
        # It goes on, or Kubernetes is ending it and the builder may still say something.
        return None
    if run.failure == "DeadlineExceeded":
        return _timed_out(run)
    return evicted("its pod is gone, and with it the result") if pod is None else _unexplained(run, pod)


def _of_container(
    run: BuilderRun, pod: Pod, ended: Terminated, spec: ImageBuildSpec
) -> BuildSucceeded | BuildFailed | None:
    result = _result(ended.message, run, spec) if pod.subject.is_own else None
    if isinstance(result, BuildSucceeded):
        foreign = _foreign_image(result, spec)
        return result if foreign is None else _invalid(foreign)
    if ended.reason == "OOMKilled":
        return killed_for_memory(pod, ended, result, spec)
    if result is None or result.reason is FailureReason.CANCELLED:
        if run.failure == "DeadlineExceeded":
            return _timed_out(run)
        if pod.disrupted is not None:
            return taken_away(pod)
        if pod.deleting:
            # By whom the Job's next condition says: its own deadline, or somebody else.
            return evicted("it was deleted") if run.failure is not None else None
    return _without_result(pod, ended) if result is None else result


def _result(message: str, run: BuilderRun, spec: ImageBuildSpec) -> BuildSucceeded | BuildFailed | None:
    """Return the result in a termination message; None for what is none of such a run.

    Where steps share a container with the builder, they can write the message, too.
    """
    if len(message) > TERMINATION_MESSAGE_LIMIT:
        return None  # the kubelet keeps no more of it
    try:
        result = parse_result(message)
    except ValueError:
        return None
    if isinstance(result, BuildSucceeded):
        # Of a run's parts the one that resolves the sources makes no image, and the others resolve nothing.
        is_expected = (
            len(result.sources) == 1 + len(spec.contexts) if run.part == SOURCE else result.digest is not None
        )
        return result if is_expected else None
    return result


def _foreign_image(result: BuildSucceeded, spec: ImageBuildSpec) -> str | None:
    """Return an image of a result that the build cannot have pushed, or None."""
    pushed, tags = set(), defaultdict[str, list[str]](list)
    for name in spec.output.destinations:
        with contextlib.suppress(OCIError):  # a name that the builder refuses, too
            repository = str(Reference.parse(sample(name)).repository)
            pushed.add(f"{repository}@{result.digest}")
            tags[repository].append(tag_of(name))
    for reference in result.references:
        repository, _, tag = reference.rpartition(":")
        if not any(tag_pattern(each).fullmatch(tag) for each in tags[repository]):
            return reference
    return next((image for image in result.images if image not in pushed), None)


def _invalid(image: str) -> BuildFailed:
    return BuildFailed(
        reason=FailureReason.INTERNAL_ERROR,
        message=f"the builder's result is invalid: it names the image {image[:_SHOWN]}, and "
        "spec.output.destinations has no such repository or tag. A step may have written the result: do not "
        "use what was pushed",
    )


def _without_result(pod: Pod, ended: Terminated) -> BuildFailed:
    if never_ran(ended):
        return cannot_start(pod.subject, ended.message or ended.reason)
    if ended.reason in _LOST:
        node = f"node {pod.node}" if pod.node else "its node"
        return evicted(f"{node} lost it ({ended.reason})")
    if not pod.subject.is_own:
        happened = f"ended with status {ended.exit_code} ({ended.reason})"
        return held_back(pod.subject, happened, last_lines(ended))
    return BuildFailed(
        reason=FailureReason.INTERNAL_ERROR,
        message=f"the builder ended with status {ended.exit_code} and without a result ({ended.reason})",
        log_tail=last_lines(ended),
    )


def never_ran(ended: Terminated) -> bool:
    """Return whether a container ended because its runtime could not start it: nothing of it ran."""
    return ended.reason in _NEVER_RAN


def _timed_out(run: BuilderRun) -> BuildFailed:
    message = "the build took longer than spec.timeout"
    if blocked := blocker(run):
        message += f", and the builder never started: {blocked.message}"
    elif run.pod is not None and run.pod.unschedulable is not None:
        message += f", and the builder never started: no node fits its pod: {run.pod.unschedulable}"
    return BuildFailed(reason=FailureReason.TIMED_OUT, message=message)


def _unexplained(run: BuilderRun, pod: Pod) -> BuildFailed:
    return BuildFailed(
        reason=FailureReason.INTERNAL_ERROR,
        message=f"the Job ended ({run.failure or 'Complete'}) but pod {pod.name} has no result ({pod.phase})",
    )


def node_lost(run: BuilderRun) -> BuildFailed:
    """Return how a run ended whose pod should be gone for long and is not: its node does not answer."""
    if run.failure == "DeadlineExceeded":
        return _timed_out(run)
    return node_silent(run.pod.node if run.pod is not None else None)
