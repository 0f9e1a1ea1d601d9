"""What evaluating a stage yields besides its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_builder.frontend.model.steps import Step
    from strake_oci.spec.image import RuntimeConfig


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables that a stage ends with and that a stage built FROM it begins with.

    Attributes:
        values: ENV and ARG in one name space, as BuildKit has them: the later one wins.
        arguments: ARGs declared so far, with the values that the history of RUN shows.
        absolute_workdir: An earlier WORKDIR of the file fixed the directory (lint).
    """

    values: Mapping[str, str]
    arguments: Mapping[str, str]
    absolute_workdir: bool = False


@dataclass(frozen=True, slots=True)
class EvaluatedStage:
    """A stage with nothing left to expand.

    Attributes:
        index: The stage's index in its plan.
        steps: What to do, in order; triggers of the base first.
        config: The image configuration at the end.
        author: The image's author (MAINTAINER), "" for none.
        variables: For the stages that stand on this one.
        triggers: This stage's ONBUILD instructions, which run in stages that stand on it.
    """

    index: int
    steps: tuple[Step, ...]
    config: RuntimeConfig
    author: str
    variables: Variables
    triggers: tuple[str, ...] = ()
