"""Rules that the syntax tree alone decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_builder.frontend.model.findings import Finding
from strake_builder.frontend.model.syntax import Arg, Maintainer
from strake_builder.frontend.text.source import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from strake_builder.frontend.model.syntax import Dockerfile, From, Position

_RESERVED: Final = frozenset({"context", "scratch"})


def syntax_findings(dockerfile: Dockerfile) -> Iterator[Finding]:
    """Yield what the text shows without any variable's value."""
    for line in dockerfile.empty_continuations:
        yield Finding("NoEmptyContinuation", "Empty continuation line", Span(line, line))
    yield from _stage_names(dockerfile)
    yield from _casing(dockerfile)
    yield from _descriptions(dockerfile)
    for stage in dockerfile.stages:
        yield from _from_casing(stage.from_)
        for instruction in stage.instructions:
            if isinstance(instruction, Maintainer):
                message = "Maintainer instruction is deprecated in favor of using label"
                yield _finding("MaintainerDeprecated", message, instruction.position)


def _finding(rule: str, message: str, position: Position) -> Finding:
    return Finding(rule, message, position.span, position.comments)


def _from_casing(from_: From) -> Iterator[Finding]:
    if from_.name_as_written != from_.name:
        message = f"Stage name '{from_.name_as_written}' should be lowercase"
        yield _finding("StageNameCasing", message, from_.position)
    keyword, as_keyword = from_.position.keyword, from_.as_keyword
    if as_keyword is None:
        return
    lower, upper = keyword.islower(), keyword.isupper()
    if (lower and not as_keyword.islower()) or (upper and not as_keyword.isupper()):
        message = f"'{as_keyword}' and '{keyword}' keywords' casing do not match"
        yield _finding("FromAsCasing", message, from_.position)


def _stage_names(dockerfile: Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        name = stage.from_.name
        if name is None:
            continue
        if name in _RESERVED:
            message = f'Stage name should not use the same name as reserved stage "{name}"'
            yield _finding("ReservedStageName", message, stage.from_.position)
        if name in seen:
            message = f'Duplicate stage name "{name}", stage names should be unique'
            yield _finding("DuplicateStageName", message, stage.from_.position)
        seen.add(name)


def _casing(dockerfile: Dockerfile) -> Iterator[Finding]:
    """The case that most instructions are in is the right one; upper when in doubt."""
    positions = [
        position
        for stage in dockerfile.stages
        for position in (stage.from_.position, *(i.position for i in stage.instructions))
    ]
    lower = sum(position.keyword.islower() for position in positions)
    upper = sum(position.keyword.isupper() for position in positions)
    wanted = "lowercase" if lower > upper else "uppercase"
    for position in positions:
        if not (position.keyword.islower() if lower > upper else position.keyword.isupper()):
            message = f"Command '{position.keyword}' should match the case of the command majority ({wanted})"
            yield _finding("ConsistentInstructionCasing", message, position)


def _descriptions(dockerfile: Dockerfile) -> Iterator[Finding]:
    for arg in dockerfile.global_args:
        yield from _description("ARG", [d.name for d in arg.definitions], arg.position)
    for stage in dockerfile.stages:
        if stage.from_.name:
            yield from _description("FROM", [stage.from_.name], stage.from_.position)
        for instruction in stage.instructions:
            if isinstance(instruction, Arg):
                yield from _description(
                    "ARG", [d.name for d in instruction.definitions], instruction.position
                )


def _description(keyword: str, names: Iterable[str], position: Position) -> Iterator[Finding]:
    known = list(names)
    if not position.comments or position.comments[-1].split(" ")[0] in known:
        return
    example = known[0] if len(known) == 1 else "<arg_key>"
    message = f"Comment for {keyword} should follow the format: `# {example} <description>`"
    yield _finding("InvalidDefinitionDescription", message, position)
