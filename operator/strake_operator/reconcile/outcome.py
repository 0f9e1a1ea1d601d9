"""How a run ended: from what the builder wrote and what Kubernetes says of its pod.

The builder's own words come first, but for what it cannot know: that the kernel killed it at its
memory limit, or that the signal it got meant an eviction or the Job's deadline.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded, parse_result
from strake_operator.names import certificate_secret
from strake_operator.reconcile.observed import Terminated, Waiting

if TYPE_CHECKING:
    from strake_operator.reconcile.observed import BuilderRun, Pod

_MISSING = re.compile(r'(secret|configmap) "([^"]+)" not found', re.IGNORECASE)
_MISSING_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found', re.IGNORECASE)
_MISSING_KEY = re.compile(r"references non-existent (secret|config) key: (\S+)")
_FORBIDDEN = re.compile(r"violates PodSecurity|admission webhook .* denied")
_IMAGE_PROBLEMS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}


def outcome(run: BuilderRun) -> BuildSucceeded | BuildFailed | None:
    """Return how a run ended; None while it goes on."""
    pod = run.pod
    if pod is not None and isinstance(pod.container, Terminated):
        return _of_container(run, pod, pod.container)
    if pod is not None and pod.disrupted is not None and pod.phase == "Failed":
        return _evicted(pod.disrupted)
    if pod is not None and pod.lost:
        return _evicted("its node does not answer any more")
    if not run.finished and (pod is not None or run.failure is None):
        # It goes on, or Kubernetes is ending it and the builder may still say something.
        return None
    if run.failure == "DeadlineExceeded":
        return _timed_out(run)
    return _evicted("its pod is gone, and with it the result") if pod is None else _unexplained(run, pod)


def _of_container(run: BuilderRun, pod: Pod, ended: Terminated) -> BuildSucceeded | BuildFailed | None:
    try:
        result = parse_result(ended.message)
    except ValueError:
        result = None
    if isinstance(result, BuildSucceeded):
        if result.digest is not None:
            return result
        result = None
    if ended.reason == "OOMKilled":
        message = "the builder was killed at its memory limit: raise spec.resources.limits.memory"
        return _override(result, FailureReason.OUT_OF_MEMORY, message)
    if result is None or result.reason is FailureReason.CANCELLED:
        if run.failure == "DeadlineExceeded":
            return _timed_out(run)
        if pod.disrupted is not None:
            return _evicted(pod.disrupted)
        if pod.deleting:
            # By whom the Job's next condition says: its own deadline, or somebody else.
            return _evicted("it was deleted") if run.failure is not None else None
    if result is not None:
        return result
    return BuildFailed(
        reason=FailureReason.INTERNAL_ERROR,
        message=f"the builder ended with status {ended.exit_code} and without a result ({ended.reason})",
        log_tail=tuple(ended.message.strip().splitlines()[-20:]),
    )


def _override(result: BuildFailed | None, reason: FailureReason, message: str) -> BuildFailed:
    if result is None:
        return BuildFailed(reason=reason, message=message)
    return result.model_copy(update={"reason": reason, "message": message})


def _evicted(why: str) -> BuildFailed:
    return BuildFailed(reason=FailureReason.EVICTED, message=f"the builder pod was taken away: {why}")


def _timed_out(run: BuilderRun) -> BuildFailed:
    message = "the build took longer than spec.timeout"
    if blocked := blocker(run):
        message += f", and the builder never started: {blocked.message}"
    return BuildFailed(reason=FailureReason.TIMED_OUT, message=message)


def _unexplained(run: BuilderRun, pod: Pod) -> BuildFailed:
    return BuildFailed(
        reason=FailureReason.INTERNAL_ERROR,
        message=f"the Job ended ({run.failure or 'Complete'}) but pod {pod.name} has no result ({pod.phase})",
    )


def blocker(run: BuilderRun) -> BuildFailed | None:
    """Return what keeps a run from starting, as the failure it becomes if it does not go away."""
    for problem in reversed(run.problems):
        if (found := _of_event(problem)) is not None:
            return found
    pod = run.pod
    if pod is not None and isinstance(pod.container, Waiting) and pod.container.reason in _IMAGE_PROBLEMS:
        said = pod.container.message or pod.container.reason
        return BuildFailed(
            reason=FailureReason.INTERNAL_ERROR,
            message=f"the builder's own image cannot be pulled: {said}",
        )
    if pod is not None and isinstance(pod.container, Waiting) and "Error" in pod.container.reason:
        return BuildFailed(
            reason=FailureReason.UNSUPPORTED,
            message=f"the builder cannot start on its node: {pod.container.message or pod.container.reason}",
        )
    return None


def _of_event(problem: str) -> BuildFailed | None:
    if found := _MISSING.search(problem):
        kind, name = found[1].lower(), found[2]
        if certificate_secret(problem) is not None:
            return _absent_certificate(f'Secret "{name}" does not exist in this namespace', name)
        return _absent(kind, f'{_KINDS[kind]} "{name}" does not exist')
    if found := _MISSING_KEY.search(problem):
        if (name := certificate_secret(problem)) is not None:
            which = f'Secret "{name}"' if name else "a Secret"
            return _absent_certificate(f"{which} in this namespace has no key {found[2]}", name or "NAME")
        if found[1] == "secret":
            text = f"a Secret has no key {found[2]}: it must be of type kubernetes.io/dockerconfigjson"
            return _absent("secret", text)
        return _absent("configmap", f"the ConfigMap has no key {found[2]}")
    if found := _MISSING_ACCOUNT.search(problem):
        return _absent("serviceaccount", f'ServiceAccount "{found[1]}" does not exist')
    if _FORBIDDEN.search(problem):
        message = f"the namespace does not admit builder pods: {problem}"
        return BuildFailed(reason=FailureReason.POLICY_DENIED, message=message)
    return None


_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}
_REASONS = {
    "secret": FailureReason.SECRET_NOT_FOUND,
    "configmap": FailureReason.SOURCE_FETCH_FAILED,
    "serviceaccount": FailureReason.SERVICE_ACCOUNT_NOT_FOUND,
}


def _absent(kind: str, what: str) -> BuildFailed:
    advice = "create it, then delete the ImageBuild and apply it again"
    return BuildFailed(reason=_REASONS[kind], message=f"{what} in this namespace: {advice}")


def _absent_certificate(what: str, name: str) -> BuildFailed:
    """Return what to say where the platform's settings, and not the spec, name the Secret."""
    create = f"kubectl create secret tls {name} --cert=FILE --key=FILE"
    message = (
        f"{what}: the platform's settings want its client certificate for a registry of this build; "
        f"create it with {create}, then delete the ImageBuild and apply it again"
    )
    return BuildFailed(reason=FailureReason.SECRET_NOT_FOUND, message=message)


def exceeds_quota(run: BuilderRun) -> str | None:
    """Return the API server's words where the namespace's quota has no room for the pod."""
    return next((problem for problem in reversed(run.problems) if "exceeded quota" in problem), None)
