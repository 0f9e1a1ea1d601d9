"""The conditions of an ImageBuild: they change all together, and keep the time of their change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from strake_api.status import Condition, ConditionType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from strake_api.status import ImageBuildStatus

Truth = Literal["True", "False", "Unknown"]

UNDER_WAY: Final[Mapping[ConditionType, Truth]] = {
    ConditionType.READY: "False",
    ConditionType.SUCCEEDED: "Unknown",
    ConditionType.RECONCILING: "True",
    ConditionType.STALLED: "False",
    ConditionType.FINISHED: "False",
}
SUCCEEDED: Final[Mapping[ConditionType, Truth]] = {
    ConditionType.READY: "True",
    ConditionType.SUCCEEDED: "True",
    ConditionType.RECONCILING: "False",
    ConditionType.STALLED: "False",
    ConditionType.FINISHED: "True",
}
FAILED: Final[Mapping[ConditionType, Truth]] = {
    ConditionType.READY: "False",
    ConditionType.SUCCEEDED: "False",
    ConditionType.RECONCILING: "False",
    ConditionType.STALLED: "True",
    ConditionType.FINISHED: "True",
}


def timestamp(moment: datetime) -> str:
    """Return a moment (with a time zone of UTC) as Kubernetes writes it, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def with_truths(
    status: ImageBuildStatus,
    truths: Mapping[ConditionType, Truth],
    reason: str,
    message: str,
    now: datetime,
) -> ImageBuildStatus:
    """Return a status with its conditions as a table has them, and with those that are not Strake's."""
    before = {condition.type: condition for condition in status.conditions}
    made = []
    for kind, truth in truths.items():
        old = before.get(kind)
        changed = old is None or old.status != truth
        # The words go where somebody looks for them: on Ready, and on what is true.
        shown = message if truth == "True" or kind is ConditionType.READY else ""
        made.append(
            Condition(
                type=kind,
                status=truth,
                reason=reason,
                message=shown,
                last_transition_time=timestamp(now) if old is None or changed else old.last_transition_time,
                observed_generation=status.observed_generation,
            )
        )
    foreign = tuple(condition for condition in status.conditions if condition.type not in truths)
    return status.model_copy(update={"conditions": (*made, *foreign)})
