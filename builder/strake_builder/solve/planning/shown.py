"""A plan as a person reads it, for builds that are not carried out."""

from __future__ import annotations

from collections.abc import Iterator

from strake_api.text import visible
from strake_builder.errors import redact
from strake_builder.frontend.model.planned import StageBase
from strake_builder.solve.planning.evaluation import EvaluatedBuild


def plan_lines(build: EvaluatedBuild) -> Iterator[str]:
    """Yield the stages that would be built, in order, each with its base and its steps."""
    for stage in build.plan.stages:
        base, image = stage.base, build.images.get(stage.index)
        if isinstance(base, StageBase):
            origin = f"stage {build.plan.every_stage[base.index].label}"
        else:
            origin = f"{image.reference}@{image.descriptor.digest}" if image else "scratch"
        is_image = "  (the image)" if stage.index == build.plan.target else ""
        yield visible(f"stage {stage.label} from {origin}{is_image}")
        for step in build.stages[stage.index].steps:
            yield visible(f"  {step.origin.span.first:>4} | {redact(step.origin.text)}")
