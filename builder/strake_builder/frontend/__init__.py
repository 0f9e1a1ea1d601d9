"""The Dockerfile frontend: text to frozen dataclasses, without I/O, behaving as BuildKit does.

    parse(text)                      -> Dockerfile        syntax tree with positions
    plan(dockerfile, target=…, …)    -> BuildPlan         the stages a target needs, in order
    evaluate(plan, stage, base)      -> EvaluatedStage    steps with nothing left to expand
    lint(dockerfile, …)              -> tuple[Warning…]   what `docker build --check` would say

Each stage of this pipeline refuses what it can with `DockerfileRefusedError`, which lists every problem it
found with its position.
"""

from __future__ import annotations

from strake_builder.frontend.errors import DockerfileRefusedError, FaultError, Problem
from strake_builder.frontend.evaluate import BaseImage, evaluate, trigger_needs
from strake_builder.frontend.parse import parse
from strake_builder.frontend.planning.plan import plan

__all__ = [
    "BaseImage",
    "DockerfileRefusedError",
    "FaultError",
    "Problem",
    "evaluate",
    "parse",
    "plan",
    "trigger_needs",
]
