"""How a run ends whose pod the infrastructure took away: what was short, or who did it, and what helps.

Kubernetes tells the resource in words alone (kubelet, pkg/kubelet/eviction/helpers.go), and who it was in the
reason of the condition DisruptionTarget or of the pod's status.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed

if TYPE_CHECKING:
    from strake_operator.reconcile.observed import Pod

_OWN_DISK: Final = re.compile(
    r"exceeds the total limit of containers|exceeded its local ephemeral storage limit"
    r"|Usage of EmptyDir volume .* exceeds the limit"
)
"""The kubelet's words for a pod that used more disk than it may, with room left on the node."""
_VOLUME: Final = "Usage of EmptyDir volume"
_LOW: Final = re.compile(r"low on resource: ([a-z-]+)")
_CONDITION: Final = re.compile(r"had condition: \[([^\]]*)\]")
_CONDITIONS: Final = {"MemoryPressure": "memory", "DiskPressure": "ephemeral-storage", "PIDPressure": "pids"}
"""The kubelet's words for a node that takes no pod, since it was low on something before."""
_NOT_ADMITTED: Final = re.compile(r"OutOf([a-z-]+)")
"""The word of the kubelet, which is then the name of a resource."""

_MORE_REQUESTED: Final = "a pod that uses more than it requested goes first, so raise spec.resources.requests"
_OWN_VOLUME: Final = "give it a disk of its own with spec.pod.workspace"
_HELPS: Final = {
    "memory": f"{_MORE_REQUESTED}.memory to what the build needs",
    "ephemeral-storage": f"{_MORE_REQUESTED}.ephemeral-storage to what the build needs, or {_OWN_VOLUME}",
    "inodes": f"its disk has room for no more files: make fewer in the build, or {_OWN_VOLUME}",
    "pids": "it runs as many processes as it can: start fewer at a time, as with make -j, or ask the platform"
    " team for a limit of processes a pod",
}
_PRIORITY: Final = "a pod of higher priority needed its place"
_BY: Final = {
    "Preempting": _PRIORITY,
    "PreemptionByScheduler": _PRIORITY,
    "EvictionByEvictionAPI": "somebody had it evicted, as `kubectl drain` does",
    "DeletionByTaintManager": "{node} got a taint that it does not tolerate, as where it does not answer",
    "DeletionByPodGC": "{node} is gone from the cluster",
    "NodeShutdown": "{node} is shutting down",
    "Terminated": "{node} is shutting down",
    "TerminationByKubelet": "the kubelet of {node} ended it",
    "NodeAffinity": "the labels of {node} changed, and do not fit it any more",
}


def taken_away(pod: Pod) -> BuildFailed:
    """Return how a run ended whose pod the infrastructure took away."""
    words = (pod.disrupted or pod.disruption).strip()
    if _OWN_DISK.search(words):
        or_workspace = ", or spec.pod.workspace.sizeLimit" if _VOLUME in words else ""
        message = (
            f"{words} Raise spec.resources.limits.ephemeral-storage{or_workspace}, or make the build smaller"
        )
        return BuildFailed(reason=FailureReason.OUT_OF_DISK, message=message)
    node = f"node {pod.node}" if pod.node else "its node"
    if resources := _short_of(words):
        happened = f"{node} was low on {' and '.join(resources)}"
        helps = "; ".join(_HELPS[each] for each in resources if each in _HELPS)
    elif found := _NOT_ADMITTED.fullmatch(pod.disruption):
        happened, helps = f"{node} had too little {found[1]} left for it", ""
    else:
        happened, helps = _BY.get(pod.disruption, "").format(node=node), ""
    told = ": ".join(each for each in (happened, words) if each)
    return evicted(f"{told.rstrip('. ')}; {helps}" if helps else told)


def _short_of(words: str) -> list[str]:
    """Return the resources that a node was low on, as Kubernetes names them in requests where it does."""
    if found := _LOW.search(words):
        return [found[1]]
    if found := _CONDITION.search(words):
        return [_CONDITIONS[each] for each in re.split(r"[\s,]+", found[1]) if each in _CONDITIONS]
    return []


def evicted(why: str) -> BuildFailed:
    """Return how a run ended whose pod is gone for no fault of the build."""
    return BuildFailed(reason=FailureReason.EVICTED, message=f"the builder pod was taken away: {why}")


def node_silent(node: str | None) -> BuildFailed:
    """Return how a run ended whose node tells nothing any more."""
    if node is None:
        return evicted("its node does not answer any more")
    return evicted(f"node {node} does not answer any more: see `kubectl describe node {node}`")
