"""Containers that a rule of the cluster put into a builder's pod, before the builder: a webhook, or a policy.

The builder does not start before they ended well. What they write is no word of the builder's, and how they
fail says nothing about the form of its pod, unless it is about isolation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed

if TYPE_CHECKING:
    from strake_operator.reconcile.observed import PodContainer

ADDED: Final = "a rule of the cluster added to the pod"
SEE_WHO: Final = "see which rule that is, and whether it is meant for builds"


def held_back(container: PodContainer, happened: str, log_tail: tuple[str, ...] = ()) -> BuildFailed:
    """Return how a run ends whose builder does not start, since a container before it failed.

    Args:
        container: Which one.
        happened: How, a clause without its subject: "ended with status 1".
        log_tail: Its last lines.
    """
    first = f"container {container.name}, which {ADDED}, comes first and {happened}"
    message = f"the builder did not start: {first}; {SEE_WHO}"
    return BuildFailed(reason=FailureReason.UNSUPPORTED, message=message, log_tail=log_tail)
