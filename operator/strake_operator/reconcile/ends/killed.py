"""How a run ends whose container the kernel killed for lack of memory.

Of a container that is gone as a whole Kubernetes tells no more than that: what it had is the limit of its
spec, and what it did the last progress that was seen. Where the builder lived on, it tells more itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.reasons import FailureReason
from strake_api.result import TERMINATION_MESSAGE_LIMIT, BuildFailed

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.reconcile.observed import Pod, Terminated

_TAIL: Final = 20
_TOLD_BY_BUILDER: Final = frozenset({FailureReason.OUT_OF_MEMORY, FailureReason.RUN_STEP_FAILED})
"""Of these the builder says itself what the kernel killed."""
_KILLED: Final = 137


def killed_for_memory(
    pod: Pod, ended: Terminated, result: BuildFailed | None, spec: ImageBuildSpec
) -> BuildFailed:
    """Return how a run ended in whose container the kernel killed something.

    Args:
        pod: Its pod.
        ended: The state of the container.
        result: What the builder wrote; None for nothing.
        spec: What is built.
    """
    if result is not None and result.reason in _TOLD_BY_BUILDER and ended.exit_code != _KILLED:
        return result
    message = f"the builder was killed for lack of memory: {_why(pod, spec)}"
    if result is not None:
        return result.model_copy(
            update={
                "reason": FailureReason.OUT_OF_MEMORY,
                "message": f"{message}. The builder wrote before: {result.message}",
            }
        )
    return BuildFailed(reason=FailureReason.OUT_OF_MEMORY, message=message, log_tail=last_lines(ended))


def _why(pod: Pod, spec: ImageBuildSpec) -> str:
    container, limit = pod.subject, pod.subject.memory_limit
    if limit is None:
        node = f"node {pod.node}" if pod.node else "its node"
        return (
            f"{node} ran out, and container {container.name} has no limit of its own: set"
            " spec.resources.requests.memory to what the build needs, so that it gets a node with room"
        )
    asked = (spec.resources.limits if spec.resources else None) or {}
    whose = "" if "memory" in asked else ", which the platform gives where the spec has none"
    return (
        f"container {container.name} used all of its limit of {limit}{whose}: raise"
        " spec.resources.limits.memory, or do less at a time"
    )


def last_lines(ended: Terminated) -> tuple[str, ...]:
    """Return the end of a container's output, which the kubelet keeps where it wrote nothing else."""
    return tuple(ended.message[-TERMINATION_MESSAGE_LIMIT:].strip().splitlines()[-_TAIL:])
