"""What is wrong with an instruction whatever its variables are: found before any base image is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError, Problem
from strake_builder.frontend.evaluation.dispatch import carry_out
from strake_builder.frontend.evaluation.state import StageState
from strake_builder.frontend.model.steps import Origin
from strake_builder.frontend.model.syntax import Add, Copy, Run
from strake_builder.frontend.reading.mounts import parse_mount
from strake_builder.frontend.reading.needs import stage_names
from strake_builder.frontend.words.lexer import WordLexer
from strake_oci.spec.image import RuntimeConfig

if TYPE_CHECKING:
    from strake_builder.frontend.model.planned import BuildPlan
    from strake_builder.frontend.model.syntax import Instruction

_MAX_INSTRUCTIONS: Final = 4000


def early_problems(plan: BuildPlan) -> list[Problem]:
    """Evaluate the instructions of needed stages that have no variables, each by itself."""
    lexer = WordLexer(plan.dockerfile.escape)
    names = stage_names(plan.dockerfile, plan.contexts)
    found: list[Problem] = []
    for stage in plan.stages:
        # Some directory below the root, as the real one is not known yet.
        state = StageState(RuntimeConfig(working_dir="/-"), {}, {}, plan.scope, names, lexer)
        for instruction in stage.instructions[:_MAX_INSTRUCTIONS]:
            position = instruction.position
            try:
                _check(
                    state, instruction, Origin(plan.dockerfile.source.filename, position.span, position.text)
                )
            except FaultError as fault:
                found.append(Problem.at(plan.dockerfile.source, position.span, fault, position.text))
                if fault.code == Code.TOO_LARGE:
                    return found
    return found


def _check(state: StageState, instruction: Instruction, origin: Origin) -> None:
    bodies = (
        [doc.body for doc in instruction.contents if doc.expand]
        if isinstance(instruction, Copy | Add)
        else []
    )
    if not any("$" in text for text in (origin.text, *bodies)):
        carry_out(state, instruction, origin)
    elif isinstance(instruction, Run):
        for mount in instruction.mounts:
            if "$" not in mount:
                parse_mount(mount, lambda value: state.lexer.word(value, {}))
