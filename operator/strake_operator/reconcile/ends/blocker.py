"""What keeps a run from starting: from warning events and from the state of its container.

Kubernetes tells in words alone. Those that name a missing object are turned into advice; of any other
the words are shown as they are, so that nobody has to look for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from strake_api.conversion import SIGNING_KEY
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.isolation import is_about_isolation
from strake_operator.names import DEFAULT_PULL_VOLUME, certificate_secret
from strake_operator.reconcile.ends.added import held_back
from strake_operator.reconcile.ends.images import image_problem
from strake_operator.reconcile.ends.refuser import is_denied, is_trouble, no_answer_of, unreachable_webhook
from strake_operator.reconcile.observed import PodContainer, Waiting

if TYPE_CHECKING:
    from datetime import datetime

    from strake_operator.reconcile.observed import BuilderRun, Problem

_MISSING = re.compile(r'(secret|configmap) "([^"]+)" not found', re.IGNORECASE)
_MISSING_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found', re.IGNORECASE)
_MISSING_CLASS = re.compile(r'RuntimeClass(?:\.node\.k8s\.io)? "([^"]+)" not found')
_NO_RUNTIME = re.compile(
    r'no runtime for "([^"]+)" is configured|failed to find runtime handler (\S+) from runtime list'
)
"""containerd's and CRI-O's words."""
_MISSING_KEY = re.compile(r"references non-existent (secret|config) key: (\S+)")
_OF_POLICY = f'volume "{DEFAULT_PULL_VOLUME}"'
_STARTS_AND_ENDS = "CrashLoopBackOff"
_NOT_CREATED = "FailedCreate"
_NO_SANDBOX = "FailedCreatePodSandBox"
_QUOTA = "exceeded quota"


@dataclass(frozen=True, slots=True)
class Blocker:
    """Something that keeps a run from starting."""

    failure: BuildFailed
    """What the run ends as if it does not go away."""
    last: datetime | None = None
    """When it was last seen to be so; None where it is so now."""
    temporary: bool = False
    """The cluster is in trouble, not the build: only the build's time limit ends the wait."""
    words: str = ""
    """What Kubernetes says, where the form of the pod may be to blame."""

    @property
    def reason(self) -> FailureReason:
        """What it is, for a program."""
        return self.failure.reason

    @property
    def message(self) -> str:
        """What it is, for a person."""
        return self.failure.message


def blocker(run: BuilderRun) -> Blocker | None:
    """Return what keeps a run from starting, the latest first."""
    for problem in reversed(_relevant(run)):
        if (failure := _of_event(problem.message)) is not None:
            return Blocker(failure, problem.last)
        if problem.reason == _NOT_CREATED and _QUOTA not in problem.message:
            return _not_created(problem)
        if problem.reason == _NO_SANDBOX and is_about_isolation(problem.message):
            return _not_started(PodContainer(), problem.message, problem.last)
    pod = run.pod
    if pod is not None and isinstance(pod.container, Waiting):
        words = pod.container.message or pod.container.reason
        if (failure := image_problem(pod, pod.container, run.problems)) is not None:
            return Blocker(failure)
        if "Error" in pod.container.reason or pod.container.reason == _STARTS_AND_ENDS:
            return _not_started(pod.subject, words)
    return None


def cannot_start(container: PodContainer, words: str) -> BuildFailed:
    """Return how a run ends whose container its node cannot start, in the words of kubelet and runtime."""
    if not is_about_form(container, words):
        return held_back(container, f"cannot start on its node: {words.strip()}")
    about = is_about_isolation(words)
    reason = FailureReason.ISOLATION_UNAVAILABLE if about else FailureReason.UNSUPPORTED
    return BuildFailed(reason=reason, message=f"the builder cannot start on its node: {words.strip()}")


def is_about_form(container: PodContainer, words: str) -> bool:
    """Return whether it may be the form of the pod that keeps a container from starting."""
    return container.is_own or is_about_isolation(words)


def _not_started(container: PodContainer, words: str, last: datetime | None = None) -> Blocker:
    shown = words if is_about_form(container, words) else ""
    return Blocker(cannot_start(container, words), last, words=shown)


def exceeds_quota(run: BuilderRun) -> str | None:
    """Return the API server's words where the namespace's quota has no room for the pod."""
    problems = reversed(_relevant(run))
    return next((each.message for each in problems if _QUOTA in each.message), None)


def last_words(run: BuilderRun) -> str | None:
    """Return what the latest warning says, where one is left that matters."""
    relevant = _relevant(run)
    return relevant[-1].message.strip() if relevant else None


def _relevant(run: BuilderRun) -> list[Problem]:
    """Return the warnings that are not over: with a pod, those about making it are."""
    return [each for each in run.problems if run.pod is None or each.reason != _NOT_CREATED]


def _not_created(problem: Problem) -> Blocker:
    words = problem.message.removeprefix("Error creating: ")
    reason = FailureReason.INVALID_REQUEST if " is invalid: " in words else FailureReason.POLICY_DENIED
    if is_denied(words):
        reason = FailureReason.POLICY_DENIED
    temporary = is_trouble(words)
    if not temporary and is_about_isolation(words):
        reason = FailureReason.ISOLATION_UNAVAILABLE
    message = f"the cluster refuses the builder pod: {words}"
    if (webhook := unreachable_webhook(words)) is not None:
        message = f"{no_answer_of(webhook, 'pod')}: {words}"
    failure = BuildFailed(reason=reason, message=message)
    return Blocker(failure, problem.last, temporary=temporary, words=words)


def _of_platform(problem: str) -> BuildFailed | None:
    """Return what is wrong with a Secret that the platform names, and not the spec."""
    certificate = certificate_secret(problem)
    if certificate is None and _OF_POLICY not in problem:
        return None
    name = certificate
    if found := _MISSING.search(problem):
        name = found[2]
        what = f'Secret "{name}" does not exist in this namespace'
    elif found := _MISSING_KEY.search(problem):
        which = f'Secret "{name}"' if name else "a Secret"
        what = f"{which} in this namespace has no key {found[2]}"
    else:
        return None
    return _absent_default(what) if certificate is None else _absent_certificate(what, name or "NAME")


def _of_event(problem: str) -> BuildFailed | None:
    if (failure := _of_platform(problem)) is not None:
        return failure
    if found := _MISSING.search(problem):
        kind, name = found[1].lower(), found[2]
        return _absent(kind, f'{_KINDS[kind]} "{name}" does not exist')
    if found := _MISSING_KEY.search(problem):
        if found[1] == "secret":
            kind = _KINDS_OF_SECRETS.get(found[2])
            text = f"a Secret has no key {found[2]}" + (f": it must be of type {kind}" if kind else "")
            if found[2] == SIGNING_KEY:
                text = f"the Secret of spec.output.sign has no key {SIGNING_KEY}"
            return _absent("secret", text)
        return _absent("configmap", f"the ConfigMap has no key {found[2]}")
    if found := _MISSING_ACCOUNT.search(problem):
        return _absent("serviceaccount", f'ServiceAccount "{found[1]}" does not exist')
    if found := _MISSING_CLASS.search(problem):
        return _absent_class(found[1])
    if found := _NO_RUNTIME.search(problem):
        message = (
            f"the node has no runtime {found[1] or found[2]}, the handler of the pod's RuntimeClass:"
            " name another RuntimeClass in spec.pod.runtimeClassName, or have the platform team install the"
            " runtime on the nodes that the class selects"
        )
        return BuildFailed(reason=FailureReason.UNSUPPORTED, message=message)
    return None


_KINDS_OF_SECRETS = {
    ".dockerconfigjson": "kubernetes.io/dockerconfigjson",
    "ssh-privatekey": "kubernetes.io/ssh-auth",
}
_KINDS = {"secret": "Secret", "configmap": "ConfigMap"}
_REASONS = {
    "secret": FailureReason.SECRET_NOT_FOUND,
    "configmap": FailureReason.SOURCE_FETCH_FAILED,
    "serviceaccount": FailureReason.SERVICE_ACCOUNT_NOT_FOUND,
}


def _absent(kind: str, what: str) -> BuildFailed:
    advice = "create it, then give the annotation strake.dev/rerun a new value"
    return BuildFailed(reason=_REASONS[kind], message=f"{what} in this namespace: {advice}")


def _absent_class(name: str) -> BuildFailed:
    message = (
        f'RuntimeClass "{name}" does not exist in this cluster: name one in spec.pod.runtimeClassName that'
        " `kubectl get runtimeclass` lists, or leave it out; where the spec names none, STRAKE_RUNTIME_CLASS"
        " of the platform does"
    )
    return BuildFailed(reason=FailureReason.RUNTIME_CLASS_NOT_FOUND, message=message)


def _absent_default(what: str) -> BuildFailed:
    """Return what to say where a BuildPolicy, and not the spec, names the pull Secret."""
    message = (
        f"{what}: a BuildPolicy gives it to builds without a pullSecret "
        "(defaultPullSecret); create it, of type kubernetes.io/dockerconfigjson, or name another in "
        "spec.pullSecret, then give the annotation strake.dev/rerun a new value"
    )
    return BuildFailed(reason=FailureReason.SECRET_NOT_FOUND, message=message)


def _absent_certificate(what: str, name: str) -> BuildFailed:
    """Return what to say where the platform's settings, and not the spec, name the Secret."""
    create = f"kubectl create secret tls {name} --cert=FILE --key=FILE"
    message = (
        f"{what}: the platform's settings want its client certificate for a registry of this build; "
        f"create it with {create}, then give the annotation strake.dev/rerun a new value"
    )
    return BuildFailed(reason=FailureReason.SECRET_NOT_FOUND, message=message)
