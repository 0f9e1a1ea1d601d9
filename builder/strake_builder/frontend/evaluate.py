"""From a planned stage and its base to steps: the arithmetic of a Dockerfile, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from strake_builder.frontend.evaluated import EvaluatedStage
    from strake_builder.frontend.planned import BuildPlan, StagePlan
    from strake_oci.image import RuntimeConfig


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What evaluation needs to know of a base image: its config's `config`, and its author."""

    config: RuntimeConfig
    author: str = ""


KnownBase: TypeAlias = "BaseImage | EvaluatedStage | None"


def evaluate(plan: BuildPlan, stage: StagePlan, base: KnownBase) -> EvaluatedStage:
    """Evaluate a stage.

    Args:
        plan: The plan that the stage belongs to.
        stage: The stage.
        base: A `BaseImage` for `ImageBase`, the `EvaluatedStage` of the parent for `StageBase`,
            None for `ScratchBase`.

    Returns:
        The steps, with ONBUILD triggers of the base in front, and the final configuration.

    Raises:
        EvaluationError: An instruction cannot be carried out: a required variable is missing, a
            port, signal, mode or mount is invalid, a trigger is broken.
    """
    raise NotImplementedError


def trigger_needs(plan: BuildPlan, config: RuntimeConfig) -> tuple[frozenset[int], frozenset[str]]:
    """Return the stages and images that the ONBUILD triggers of a base image need files of.

    They are known only once the base's config is; hand them to `BuildPlan.also_needing`.

    Raises:
        EvaluationError: A trigger cannot be parsed, or needs a stage that does not exist.
    """
    raise NotImplementedError
