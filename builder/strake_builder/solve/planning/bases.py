"""Finds out what the base images of a plan are: all are asked for at once, before anything is evaluated."""

from __future__ import annotations

from strake_builder.frontend.evaluate import trigger_needs
from strake_builder.frontend.model.planned import BuildPlan, ImageBase
from strake_builder.solve.images.base import BaseImages, PulledImage
from strake_builder.solve.planning.evaluation import location


def resolve_bases(plan: BuildPlan, images: BaseImages) -> tuple[BuildPlan, dict[int, PulledImage]]:
    """Resolve the base images of every needed stage, and begin to resolve those that steps read.

    Returns:
        The plan, with what triggers of base images need added, and the base images by stage index.

    Raises:
        BaseImageError: an image cannot be resolved.
        DockerfileError: a trigger cannot be carried out.
    """
    _request_all(plan, images)
    resolved: dict[int, PulledImage] = {}
    grown = True
    while grown:  # a trigger may need a stage that nothing else needed
        grown = False
        for stage in plan.stages:
            if isinstance(stage.base, ImageBase) and stage.index not in resolved:
                image = images.get(stage.base.reference, stage.base.platform, location(plan, stage))
                resolved[stage.index] = image
                needs = trigger_needs(plan, stage, image.config.config)
                if needs.stages or needs.images or needs.contexts:
                    plan = plan.also_needing(stage.index, needs.stages, needs.images, needs.contexts)
                    _request_all(plan, images)
                    grown = True
    return plan, resolved


def _request_all(plan: BuildPlan, images: BaseImages) -> None:
    for stage in plan.stages:
        if isinstance(stage.base, ImageBase):
            images.request(stage.base.reference, stage.base.platform)
        for reference in stage.images:
            images.request(reference, stage.platform)
