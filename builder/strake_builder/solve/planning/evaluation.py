"""Evaluates all stages before anything runs: arithmetic over a plan and its base images, without I/O."""

from __future__ import annotations

from collections.abc import Mapping

from strake_builder.errors import Location
from strake_builder.frontend.evaluate import BaseImage, evaluate
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.planned import (
    BuildPlan,
    ContextBase,
    ImageBase,
    ScratchBase,
    StageBase,
    StagePlan,
)
from strake_builder.frontend.model.steps import Step
from strake_builder.solve.images.base import PulledImage
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class EvaluatedBuild:
    """A plan with nothing left to find out.

    Attributes:
        plan: the plan, with what triggers of base images need added.
        stages: evaluated stages by index.
        images: base images by stage index.
    """

    plan: BuildPlan
    stages: Mapping[int, EvaluatedStage]
    images: Mapping[int, PulledImage]

    def base_of(self, index: int) -> PulledImage | None:
        """Return the image at the bottom of a stage, None where that is scratch."""
        stage = self.plan.every_stage[index]
        match stage.base:
            case StageBase(base):
                return self.base_of(base)
            case ImageBase() | ContextBase() | ScratchBase():
                return self.images.get(index)

    def chain(self, index: int) -> tuple[int, ...]:
        """Return the stages whose layers a stage consists of, lowest first, itself last."""
        base = self.plan.every_stage[index].base
        return (*self.chain(base.index), index) if isinstance(base, StageBase) else (index,)

    def numbers(self) -> dict[int, int]:
        """Return the number of each needed stage's first step, counted over all of them."""
        numbers, count = {}, 1
        for stage in self.plan.stages:
            numbers[stage.index] = count
            count += len(self.stages[stage.index].steps)
        return numbers

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step, in the order of the numbers."""
        return tuple(step for stage in self.plan.stages for step in self.stages[stage.index].steps)


def evaluate_all(plan: BuildPlan, images: Mapping[int, PulledImage]) -> EvaluatedBuild:
    """Evaluate every needed stage.

    Args:
        plan: the plan, with what triggers of base images need added.
        images: base images by stage index.

    Raises:
        DockerfileError: an instruction cannot be carried out.
    """
    evaluated: dict[int, EvaluatedStage] = {}
    for stage in plan.stages:
        match stage.base:
            case ImageBase():
                config = images[stage.index].config
                evaluated[stage.index] = evaluate(plan, stage, BaseImage(config.config, config.author))
            case StageBase(base):
                evaluated[stage.index] = evaluate(plan, stage, evaluated[base])
            case ScratchBase() | ContextBase():
                evaluated[stage.index] = evaluate(plan, stage, None)
    return EvaluatedBuild(plan, evaluated, images)


def location(plan: BuildPlan, stage: StagePlan) -> Location:
    """Return where a stage's FROM stands."""
    position = stage.from_.position
    return Location(plan.dockerfile.source.filename, position.span.first, position.text)
