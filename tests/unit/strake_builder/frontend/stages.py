"""Short ways from text to what the frontend makes of it."""

from __future__ import annotations

from strake_builder.frontend import BaseImage, evaluate, parse, plan
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.planned import BuildPlan, StageBase
from strake_builder.frontend.model.steps import Step
from strake_oci.spec.image import RuntimeConfig
from strake_oci.spec.platform import Platform

AMD64 = Platform("linux", "amd64")
PATH = "PATH=/bin"


def planned(text: str, *, target: str | None = None, **build_args: str) -> BuildPlan:
    return plan(parse(text), target=target, build_args=build_args, platform=AMD64, build_platform=AMD64)


def evaluated(
    text: str, *, base: RuntimeConfig | None = None, target: str | None = None, **build_args: str
) -> EvaluatedStage:
    """Evaluate the target; every image has the configuration `base`."""
    made = planned(text, target=target, **build_args)
    done: dict[int, EvaluatedStage] = {}
    for stage in made.stages:
        parent = done[stage.base.index] if isinstance(stage.base, StageBase) else None
        image = BaseImage(base or RuntimeConfig(env=(PATH,)))
        known = parent or (None if type(stage.base).__name__ == "ScratchBase" else image)
        done[stage.index] = evaluate(made, stage, known)
    return done[made.target]


def step(line: str, *before: str, base: RuntimeConfig | None = None, **build_args: str) -> Step:
    """Return the last step of a stage that ends with `line`."""
    return evaluated("\n".join(("FROM base", *before, line)), base=base, **build_args).steps[-1]
