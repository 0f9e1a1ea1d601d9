"""What a failure tells beside what happened: what was going on, and what only the platform can change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.reasons import FailureReason
from strake_api.status import Phase
from strake_operator.isolation import ISOLATION_VARIABLE

if TYPE_CHECKING:
    from strake_api.result import BuildFailed
    from strake_api.status import ImageBuildStatus
    from strake_operator.settings.environment import Settings

_NEVER_STARTED: Final = "never started"
_MEASURED: Final = {
    FailureReason.OUT_OF_MEMORY: "memory",
    FailureReason.OUT_OF_DISK: "ephemeral-storage",
}


def with_last_words(ended: BuildFailed, before: ImageBuildStatus) -> BuildFailed:
    """Return a failure with what went on when nobody could tell any more, which is gone with the pod.

    Args:
        ended: How the run ended.
        before: The status before that.
    """
    if before.progress is None:
        return ended
    if ended.reason is FailureReason.TIMED_OUT and before.phase is Phase.PENDING:
        if _NEVER_STARTED in ended.message:
            return ended
        words = f"{ended.message}, and the builder {_NEVER_STARTED}: {before.progress}"
        return ended.model_copy(update={"message": words})
    is_untold = ended.reason is FailureReason.OUT_OF_MEMORY and ended.line is None
    if is_untold and before.phase is not Phase.PENDING:
        words = f"{ended.message}; the last that it showed: {before.progress}"
        return ended.model_copy(update={"message": words})
    return ended


def with_advice(failure: BuildFailed, settings: Settings) -> BuildFailed:
    """Return a failure with what only the platform can change, by its settings or its policies."""
    advice = ""
    if failure.reason is FailureReason.ISOLATION_UNAVAILABLE and settings.isolation == "nested":
        advice = (
            f"the platform sets {ISOLATION_VARIABLE}=nested, which allows nothing less: mend the node or the "
            f"namespace's rules, or set {ISOLATION_VARIABLE}=auto (docs/operator.md, Isolation)"
        )
    measured = _MEASURED.get(failure.reason)
    for ceiling in settings.ceilings:
        if ceiling.resource == measured:
            most = f"at most {ceiling.amount} of {measured}"
            advice = f"BuildPolicy {ceiling.policy} allows {most}: for more ask the platform team"
    if not advice:
        return failure
    return failure.model_copy(update={"message": f"{failure.message.rstrip('. ')}; {advice}"})
