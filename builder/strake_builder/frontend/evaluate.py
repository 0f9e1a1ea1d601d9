"""`evaluate`: from a planned stage and its base to steps, without any I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from strake_builder.frontend.errors import Code, EvaluationError, FaultError, Problem
from strake_builder.frontend.evaluation import paths
from strake_builder.frontend.evaluation.dispatch import carry_out
from strake_builder.frontend.evaluation.state import DEFAULT_PATH, StageState, variables_of
from strake_builder.frontend.model.evaluated import EvaluatedStage, Variables
from strake_builder.frontend.model.planned import ContextBase
from strake_builder.frontend.model.steps import CopyStep, FromNamedContext, Origin, PathSource, Step
from strake_builder.frontend.planning.onbuild import parse_triggers
from strake_builder.frontend.reading.needs import Needs, needs_of, stage_names
from strake_builder.frontend.words.lexer import WordLexer
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.image import RuntimeConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_builder.frontend.model.findings import Finding
    from strake_builder.frontend.model.planned import BuildPlan, StagePlan
    from strake_builder.frontend.patterns.ignore import IgnoreMatcher

_MAX_INSTRUCTIONS: Final = 4000
_MAX_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What evaluation needs to know of a base image: its config's `config`, and its author."""

    config: RuntimeConfig
    author: str = ""


KnownBase: TypeAlias = BaseImage | EvaluatedStage | None


def evaluate(plan: BuildPlan, stage: StagePlan, base: KnownBase) -> EvaluatedStage:
    """Evaluate a stage.

    Args:
        plan: The plan that the stage belongs to.
        stage: The stage.
        base: A `BaseImage` for `ImageBase`, the `EvaluatedStage` of the parent for `StageBase`,
            None for `ScratchBase` and `ContextBase`.

    Returns:
        The steps, with ONBUILD triggers of the base in front, and the final configuration.

    Raises:
        EvaluationError: An instruction cannot be carried out: a required variable is missing, a
            port, signal, mode or mount is invalid, a trigger is broken.
    """
    return _evaluate(plan, stage, base, _begin(plan, base))


def evaluate_noting(
    plan: BuildPlan,
    stage: StagePlan,
    base: KnownBase,
    *,
    base_is_known: bool = True,
    ignore: IgnoreMatcher | None = None,
) -> tuple[EvaluatedStage, list[Finding]]:
    """Evaluate a stage and return what lint wants to know, too; see `evaluate`."""
    state = _begin(plan, base)
    state.base_is_known = base_is_known
    state.ignore = ignore
    findings: list[Finding] = []
    state.findings = findings
    return _evaluate(plan, stage, base, state), findings


def _evaluate(plan: BuildPlan, stage: StagePlan, base: KnownBase, state: StageState) -> EvaluatedStage:
    source = plan.dockerfile.source
    from_ = stage.from_.position
    try:
        triggers = parse_triggers(() if stage.replaced else _triggers_of(base), from_.span)
        _check_count(len(triggers) + len(stage.instructions))
    except FaultError as fault:
        raise EvaluationError([Problem.at(source, from_.span, fault, from_.text)]) from fault
    steps: list[Step] = _filling(plan, stage, state.config)
    problems: list[Problem] = []
    for number, instruction in enumerate((*triggers, *stage.instructions)):
        position = instruction.position
        origin = Origin(source.filename, position.span, position.text, number < len(triggers))
        try:
            step = carry_out(state, instruction, origin)
            state.spend(len(step.created_by or ""), position)
            steps.append(step)
        except FaultError as fault:
            problems.append(Problem.at(source, position.span, fault, position.text))
            if fault.code == Code.TOO_LARGE or len(problems) >= _MAX_PROBLEMS:
                break
    if problems:
        raise EvaluationError(problems)
    return EvaluatedStage(
        index=stage.index,
        steps=tuple(steps),
        config=state.config,
        author=state.author,
        variables=Variables(dict(state.values), dict(state.arguments), state.workdir_set),
        triggers=tuple(state.triggers),
    )


def _filling(plan: BuildPlan, stage: StagePlan, config: RuntimeConfig) -> list[Step]:
    """Return the step that puts the files of a named context where a base image would have them."""
    if not isinstance(stage.base, ContextBase):
        return []
    position = stage.from_.position
    return [
        CopyStep(
            origin=Origin(plan.dockerfile.source.filename, position.span, position.text),
            created_by=f"FROM {stage.base.name} # named context",
            config=config,
            sources=(PathSource("/"),),
            files=(),
            source=FromNamedContext(stage.base.name),
            destination="/",
        )
    ]


def _triggers_of(base: KnownBase) -> tuple[str, ...]:
    return base.config.on_build if base is not None else ()


def trigger_needs(plan: BuildPlan, stage: StagePlan, config: RuntimeConfig) -> Needs:
    """Return what the ONBUILD triggers of a base image need files of.

    They are known only once the base's config is; hand them to `BuildPlan.also_needing`.

    Args:
        plan: The plan.
        stage: The stage that is built FROM the image.
        config: The image's `config`.

    Raises:
        EvaluationError: A trigger cannot be parsed, or needs a stage that does not exist or comes
            later.
    """
    from_ = stage.from_.position
    try:
        triggers = parse_triggers(() if stage.replaced else config.on_build, from_.span)
        needs, faults = needs_of(triggers, stage_names(plan.dockerfile, plan.contexts))
        found = [fault for _, fault in faults] + _later(needs.stages, stage.index)
    except FaultError as fault:
        found = [fault]
    if found:
        source = plan.dockerfile.source
        raise EvaluationError([Problem.at(source, from_.span, fault, from_.text) for fault in found])
    return needs


def _later(stages: Iterable[int], index: int) -> list[FaultError]:
    return [
        FaultError(
            Code.STAGE_ORDER, f"an ONBUILD trigger of the base needs stage {other}, which is not built before"
        )
        for other in stages
        if other >= index
    ]


def _check_count(instructions: int) -> None:
    if instructions > _MAX_INSTRUCTIONS:
        raise FaultError(Code.TOO_LARGE, f"a stage may have {_MAX_INSTRUCTIONS} instructions at most")


def _begin(plan: BuildPlan, base: KnownBase) -> StageState:
    """Return the state before the first instruction."""
    match base:
        case None:
            config, author = RuntimeConfig(working_dir="/"), ""
        case BaseImage(config, author):
            pass
        case EvaluatedStage(config=config, author=author):
            pass
    before = base.variables if isinstance(base, EvaluatedStage) else Variables({}, {})
    config = replace(config, on_build=())
    if config.env_value("PATH") is None:
        config = config.with_env("PATH", DEFAULT_PATH)
    if config.working_dir:
        config = replace(config, working_dir=paths.workdir("", config.working_dir))
    return StageState(
        config=config,
        values={**before.values, **variables_of(config)},
        arguments=dict(before.arguments),
        scope=plan.scope,
        names=stage_names(plan.dockerfile, plan.contexts),
        lexer=WordLexer(plan.dockerfile.escape),
        author=author,
        workdir_set=before.absolute_workdir,
    )
