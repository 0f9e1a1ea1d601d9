"""`plan`: from the syntax tree to the stages that a target needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError, PlanError, Problem
from strake_builder.frontend.model.moments import no_time
from strake_builder.frontend.model.named_contexts import ContextKind, ImageContext, NamedContexts
from strake_builder.frontend.model.planned import (
    Base,
    BuildPlan,
    ContextBase,
    ImageBase,
    ScratchBase,
    StageBase,
    StagePlan,
    order,
)
from strake_builder.frontend.model.syntax import Dockerfile, From, Instruction, OnBuild
from strake_builder.frontend.planning import arguments_scope
from strake_builder.frontend.planning.early import early_problems
from strake_builder.frontend.planning.epoch import Epoch, EpochError, EpochReader, with_epoch
from strake_builder.frontend.planning.onbuild import parse_triggers
from strake_builder.frontend.reading import needs
from strake_builder.frontend.text.suggest import did_you_mean
from strake_builder.frontend.words.lexer import WordLexer
from strake_oci.errors import InvalidPlatformError
from strake_oci.spec.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from strake_builder.frontend.model.moments import TimeOf
    from strake_builder.frontend.text.source import Span

_NOTHING: Final[tuple[Base, str]] = (ScratchBase(), "")


def plan(  # noqa: PLR0913 - all that a plan depends on
    dockerfile: Dockerfile,
    *,
    target: str | None,
    build_args: Mapping[str, str],
    platform: Platform,
    build_platform: Platform,
    contexts: NamedContexts | None = None,
    also: Sequence[str] = (),
    time_of: TimeOf = no_time,
) -> BuildPlan:
    """Plan a build.

    Args:
        dockerfile: The syntax tree.
        target: Name of the stage whose image is wanted; None or "" for the last one.
        build_args: What the caller passes for ARG.
        platform: The platform of the image (`TARGETPLATFORM`).
        build_platform: The platform of this machine (`BUILDPLATFORM`).
        contexts: What stands in for stages and images; nothing by default.
        also: Names of further stages to build.
        time_of: Finds out the time of what SOURCE_DATE_EPOCH names.

    Returns:
        The plan.

    Raises:
        PlanError: With every problem found: bases that cannot be, unknown stages, cycles, an unknown
            target; and of the stages that are needed, everything that is wrong whatever the
            variables and the base images are.
        InvalidRequestError: The build argument SOURCE_DATE_EPOCH means nothing.
        BuildError: As `time_of` raises.
    """
    contexts = contexts or NamedContexts()
    planner = _Planner(
        dockerfile, WordLexer(dockerfile.escape), dict(build_args), platform, build_platform, contexts
    )
    planner.read_arguments(target)
    planner.read_epoch(time_of)
    stages = planner.stages()
    index = planner.target(stages, target)
    others = tuple(planner.target(stages, name) for name in also)
    for each in (index, *others):
        planner.check_order(stages, each)
    planner.refuse()
    planned = BuildPlan(
        dockerfile=dockerfile,
        every_stage=tuple(stages),
        target=index,
        needed=order(tuple(stages), index, *others),
        also=others,
        platform=platform,
        scope=arguments_scope.scope(planner.build_args, planner.global_args),
        unused_build_args=arguments_scope.unused(dockerfile, build_args),
        contexts=contexts,
        epoch=planner.epoch.seconds,
        moment=planner.epoch.moment,
    )
    planner.problems += early_problems(planned)
    planner.refuse()
    return planned


@dataclass(slots=True)
class _Planner:
    dockerfile: Dockerfile
    lexer: WordLexer
    build_args: dict[str, str]
    platform: Platform
    build_platform: Platform
    contexts: NamedContexts
    problems: list[Problem] = field(default_factory=list)
    global_args: dict[str, str] = field(default_factory=dict)
    links: dict[int, dict[int, Instruction]] = field(default_factory=dict)
    epoch: Epoch = field(default_factory=Epoch)

    def report(self, fault: FaultError, span: Span, text: str) -> None:
        self.problems.append(Problem.at(self.dockerfile.source, span, fault, text))

    def refuse(self) -> None:
        if self.problems:
            raise PlanError(sorted(self.problems, key=lambda p: (p.line, p.column)))

    def read_arguments(self, target: str | None) -> None:
        last = self.dockerfile.stages[-1].from_.name
        self.global_args = arguments_scope.platform_arguments(
            self.platform, self.build_platform, target or last or "default", self.build_args
        )
        for line in self.dockerfile.global_args:
            try:
                self.global_args = arguments_scope.global_arguments(
                    [line], self.lexer, self.global_args, self.build_args
                )
            except FaultError as fault:
                self.report(fault, line.position.span, line.position.text)

    def read_epoch(self, time_of: TimeOf) -> None:
        reader = EpochReader(self.dockerfile, self.lexer, self.build_args, self.global_args, self.contexts)
        try:
            found = reader.read(time_of)
        except EpochError as error:
            self.report(error.fault, error.position.span, error.position.text)
            return
        if found is not None:
            self.epoch = found
            self.build_args = with_epoch(self.build_args, found)
            self.global_args = with_epoch(self.global_args, found)

    def stages(self) -> list[StagePlan]:
        names = needs.stage_names(self.dockerfile, self.contexts)
        seen: dict[str, int] = {}
        planned: list[StagePlan] = []
        for index, stage in enumerate(self.dockerfile.stages):
            planned.append(self.stage(index, seen, planned, names))
            if stage.from_.name:
                seen[stage.from_.name] = index
        return planned

    def stage(
        self, index: int, seen: Mapping[str, int], before: list[StagePlan], names: needs.StageNames
    ) -> StagePlan:
        syntax = self.dockerfile.stages[index]
        from_ = syntax.from_
        base, context = _NOTHING
        platform = self.platform
        replacement = self.contexts.find(from_.name) if from_.name else None
        own = () if replacement else syntax.instructions
        instructions: list[Instruction] = list(own)
        try:
            platform = self.stage_platform(from_)
            base, context = (
                _in_place(*replacement, platform) if replacement else self.base(from_, seen, platform)
            )
            if isinstance(base, StageBase):
                parent = before[base.index]
                platform = parent.platform
                triggers = (i.trigger for i in parent.instructions if isinstance(i, OnBuild))
                instructions = [*parse_triggers(triggers, from_.position.span), *instructions]
        except FaultError as fault:
            self.report(fault, from_.position.span, from_.position.text)
        wanted, faults = needs.needs_of(instructions, names)
        for instruction, found in faults:
            self.report(found, instruction.position.span, instruction.position.text)
        self.links[index] = wanted.stages
        return StagePlan(
            index=index,
            name=from_.name,
            base=base,
            platform=platform,
            from_=from_,
            instructions=own,
            stages=frozenset(wanted.stages),
            images=frozenset(wanted.images),
            contexts=frozenset(wanted.contexts | ({context} - {""})),
            replaced=replacement is not None,
        )

    def stage_platform(self, from_: From) -> Platform:
        if from_.platform is None:
            return self.platform
        text = self.lexer.word(from_.platform, self.global_args)
        if not text:
            hint = f"declare the argument with a default: {', '.join(sorted(self.global_args)[:5])} exist"
            message = f"empty platform value from expression {from_.platform[:60]}"
            raise FaultError(Code.INVALID_PLATFORM, message, hint=hint, needle="--platform")
        try:
            return Platform.parse(text)
        except InvalidPlatformError as error:
            raise FaultError(
                Code.INVALID_PLATFORM, error.message, hint=error.hint, needle="--platform"
            ) from error

    def base(self, from_: From, seen: Mapping[str, int], platform: Platform) -> tuple[Base, str]:
        """Return a stage's base, and the name of the named context that it is, "" for none."""
        expansion = self.lexer.expand(from_.base, self.global_args)
        if not expansion.text:
            names = ", ".join(f"ARG {name}" for name in sorted(expansion.unmatched))
            hint = f"declare {names} above the first FROM, or pass --build-arg" if names else ""
            message = f"base name ({from_.base[:60]}) should not be blank"
            raise FaultError(Code.BLANK_BASE, message, hint=hint, needle=from_.base)
        index = seen.get(expansion.text.lower())
        if index is not None:
            return StageBase(index), ""
        if expansion.text == "scratch":
            return _NOTHING
        needs.check_reference(expansion.text, from_.base)
        found = self.contexts.find(expansion.text)
        return _in_place(*found, platform) if found else (ImageBase(expansion.text, platform), "")

    def target(self, stages: list[StagePlan], target: str | None) -> int:
        if not target:
            return len(stages) - 1
        for stage in reversed(stages):
            if stage.name == target.lower():
                return stage.index
        names = [stage.name for stage in stages if stage.name]
        listed = f"the stages are {', '.join(names[:20])}" if names else "no stage of the file has a name"
        fault = FaultError(
            Code.UNKNOWN_TARGET,
            f"target stage {target[:60]!r} could not be found",
            hint=did_you_mean(target, names, ignore_case=True) or listed,
        )
        last = stages[-1].from_.position
        self.report(fault, last.span, last.text)
        return len(stages) - 1

    def check_order(self, stages: list[StagePlan], target: int) -> None:
        """Refuse circles anywhere, and needed stages that need a later one."""
        self.refuse()
        for index in sorted(self.in_circles()):
            later = [needed for needed in self.links[index] if needed >= index]
            if later:
                fault = FaultError(
                    Code.CIRCULAR,
                    f"circular dependency: stage {stages[index].label!r} needs itself",
                    hint="move what both need into a stage of its own",
                    needle="from=",
                )
                instruction = self.links[index][min(later)]
                self.report(fault, instruction.position.span, instruction.position.text)
                return
        for stage in self.reachable(stages, target):
            for needed, instruction in self.links[stage].items():
                if needed > stage:
                    fault = FaultError(
                        Code.STAGE_ORDER,
                        f"stage {stages[stage].label!r} needs {stages[needed].label!r}, which comes after it",
                        hint=f"move {stages[needed].label!r} above {stages[stage].label!r}",
                        needle="from=",
                    )
                    self.report(fault, instruction.position.span, instruction.position.text)

    def in_circles(self) -> set[int]:
        """Return the stages left when those that need no stage of the rest are taken away again and again."""
        waiting = {index: len(needed) for index, needed in self.links.items()}
        needed_by: dict[int, list[int]] = {index: [] for index in self.links}
        for index, needed in self.links.items():
            for other in needed:
                needed_by[other].append(index)
        free = [index for index, count in waiting.items() if not count]
        while free:
            index = free.pop()
            del waiting[index]
            for other in needed_by[index]:
                waiting[other] -= 1
                if not waiting[other]:
                    free.append(other)
        return set(waiting)

    def reachable(self, stages: list[StagePlan], target: int) -> list[int]:
        todo, seen = [target], set[int]()
        while todo:
            index = todo.pop()
            if index in seen:
                continue
            seen.add(index)
            todo += self.links[index]
            base = stages[index].base
            if isinstance(base, StageBase):
                todo.append(base.index)
        return sorted(seen)


def _in_place(name: str, kind: ContextKind, platform: Platform) -> tuple[Base, str]:
    """Return the base that a named context is, and its name."""
    if not isinstance(kind, ImageContext):
        return ContextBase(name), name
    return ImageBase(kind.reference, platform) if kind.reference else ScratchBase(), name
