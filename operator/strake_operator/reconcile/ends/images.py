"""What keeps a pod from starting whose image its node does not get: which one, where, and who can mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.reconcile.ends.added import ADDED, SEE_WHO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_operator.reconcile.observed import Pod, Problem, Waiting

_TEMPORARY: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
"""What another pod, later or on another node, may not meet."""
_FINAL: Final = frozenset(
    {"InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "SignatureValidationFailed"}
)
_BACK_OFF: Final = "ImagePullBackOff"
_INVALID: Final = "InvalidImageName"
_PULL_EVENT: Final = "Failed to pull image"


def image_problem(pod: Pod, state: Waiting, problems: Iterable[Problem]) -> BuildFailed | None:
    """Return why a container has no image; None where it waits for something else.

    Args:
        pod: The container's pod.
        state: Its state.
        problems: The warnings about the pod, oldest first.
    """
    if state.reason not in _TEMPORARY | _FINAL:
        return None
    container = pod.subject
    where = f" on node {pod.node}" if pod.node else ""
    which = f"{container.image} " if container.image else ""
    if state.reason == _INVALID:
        happened = f"is no name of an image ({_words(pod, state, problems)})"
    else:
        happened = f"cannot be pulled{where}: {_words(pod, state, problems)}"
    if container.is_own:
        message = f"the builder's own image {which}{happened}; {_helps(state)}"
    else:
        message = f"the image {which}of container {container.name}, which {ADDED}, {happened}; {SEE_WHO}"
    temporary = state.reason in _TEMPORARY
    return BuildFailed(reason=FailureReason.INTERNAL_ERROR, message=message, temporary=temporary)


def _words(pod: Pod, state: Waiting, problems: Iterable[Problem]) -> str:
    """Return why: a node that waits before it tries again need not say what happened when it did."""
    words = (state.message or state.reason).strip()
    if state.reason != _BACK_OFF or "ErrImagePull" in words:
        return words
    told = [each.message for each in problems if each.message.startswith(_PULL_EVENT)]
    own = [each for each in told if pod.subject.image is None or pod.subject.image in each]
    return own[-1].strip() if own else words


def _helps(state: Waiting) -> str:
    if state.reason == "ErrImageNeverPull":
        return "have the platform team load it on the nodes, or let them pull it"
    opens = "give the Secret of its registry in spec.pod.imagePullSecrets"
    return f"have the platform team check STRAKE_BUILDER_IMAGE, or {opens}"
