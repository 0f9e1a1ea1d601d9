"""The Dockerfile frontend: text to frozen dataclasses, without I/O, behaving as BuildKit does.

    parse(text)                      -> Dockerfile        syntax tree with places
    plan(dockerfile, target=…, …)    -> BuildPlan         the stages a target needs, in order
    evaluate(plan, stage, base)      -> EvaluatedStage    steps with nothing left to expand
    lint(dockerfile, …)              -> tuple[Warning…]   what `docker build --check` would say

Each stage of this pipeline refuses what it can with `DockerfileRefused`, which lists every problem it
found with its place.
"""

from __future__ import annotations
