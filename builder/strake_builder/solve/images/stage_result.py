"""The result of a stage."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from strake_builder.cache.keys import Key
from strake_builder.frontend.model.steps import Step
from strake_builder.solve.images.layers import ImageLayer
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step that is done, for the image's history.

    Attributes:
        step: the step.
        layer: what it changed; None for a step that only changes the configuration, or that a cache
            says changed nothing.
        created: when it ended, None for a step that only changes the configuration.
        key: its definition key, None without a cache.
        cached: whether its result came from a cache.
    """

    step: Step
    layer: ImageLayer | None = None
    created: datetime | None = None
    key: Key | None = None
    cached: bool = False


@dataclass(frozen=True, slots=True)
class StageResult:
    """The result of a stage, with that of its base.

    Attributes:
        layers: bottom first, those of the base included.
        records: of this stage and the stages that it builds on, in order.
    """

    layers: tuple[ImageLayer, ...] = ()
    records: tuple[StepRecord, ...] = field(default=())
