"""One instruction to one step: sends each kind to the module that knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from strake_builder.frontend.evaluation import files, metadata
from strake_builder.frontend.evaluation.run import run
from strake_builder.frontend.model.steps import ConfigStep, Origin, Step
from strake_builder.frontend.model.syntax import Add, Copy, Instruction, Maintainer, OnBuild, Run, Workdir

if TYPE_CHECKING:
    from strake_builder.frontend.evaluation.state import StageState

_Metadata: TypeAlias = metadata.Metadata | OnBuild | Maintainer


def carry_out(state: StageState, instruction: Instruction, origin: Origin) -> Step:
    """Evaluate one instruction.

    Args:
        state: The stage so far; it is changed.
        instruction: The instruction.
        origin: Where it stands.

    Raises:
        FaultError: It cannot be carried out.
    """
    match instruction:
        case Run():
            return run(state, instruction, origin)
        case Copy():
            return files.copy(state, instruction, origin)
        case Add():
            return files.add(state, instruction, origin)
        case Workdir():
            return files.workdir(state, instruction, origin)
        case _:
            created_by = _metadata(state, instruction)
            return ConfigStep(origin, created_by, state.config)


def _metadata(state: StageState, instruction: _Metadata) -> str | None:
    match instruction:
        case OnBuild(_, trigger):
            state.triggers.append(trigger)
            state.change(on_build=(*state.config.on_build, trigger))
            return None
        case Maintainer(_, maintainer):
            state.author = maintainer
            return f"MAINTAINER {maintainer}"
        case _:
            return metadata.apply(state, instruction)
