"""Rules about FROM lines, which need the arguments outside stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_builder.frontend.errors import FaultError
from strake_builder.frontend.model.findings import Finding
from strake_builder.frontend.planning.arguments_scope import global_arguments, platform_arguments
from strake_builder.frontend.reading.needs import check_reference
from strake_builder.frontend.text.suggest import nearest
from strake_builder.frontend.words.lexer import Expansion, WordLexer
from strake_oci.errors import InvalidPlatformError
from strake_oci.spec.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from strake_builder.frontend.model.planned import BuildPlan
    from strake_builder.frontend.model.syntax import From


def from_findings(plan: BuildPlan) -> Iterator[Finding]:
    """Yield what is unwise about the bases of a plan's stages."""
    dockerfile = plan.dockerfile
    lexer = WordLexer(dockerfile.escape)
    values = plan.scope.global_args
    declared = {d.name for line in dockerfile.global_args for d in line.definitions} | values.keys()
    stage_names = {stage.from_.name for stage in dockerfile.stages}
    for stage in plan.every_stage:
        from_ = stage.from_
        yield from _undeclared(lexer.expand(from_.base, values), declared, from_)
        if from_.platform is not None:
            expansion = lexer.expand(from_.platform, values)
            yield from _undeclared(expansion, declared, from_)
            yield from _platform(expansion, values, from_)
    for from_, base in _default_bases(plan, lexer):
        if base.lower() not in stage_names and not _is_reference(base):
            message = f"Default value for ARG {from_.base} results in empty or invalid base image name"
            yield Finding("InvalidDefaultArgInFrom", message, from_.position.span, from_.position.comments)


def _undeclared(expansion: Expansion, declared: set[str], from_: From) -> Iterator[Finding]:
    for name in sorted(expansion.unmatched - declared):
        meant = nearest(name, sorted(declared))
        hint = f" (did you mean {meant}?)" if meant else ""
        message = f"FROM argument '{name}' is not declared{hint}"
        yield Finding("UndefinedArgInFrom", message, from_.position.span, from_.position.comments)


def _platform(expansion: Expansion, values: Mapping[str, str], from_: From) -> Iterator[Finding]:
    position = from_.position
    if expansion.matched or expansion.unmatched:
        redundant = expansion.matched == {"TARGETPLATFORM"} and not expansion.unmatched
        if redundant and expansion.text == values["TARGETPLATFORM"]:
            message = (
                f"Setting platform to predefined {from_.platform} in FROM is redundant as this is the "
                "default behavior"
            )
            yield Finding("RedundantTargetPlatform", message, position.span, position.comments)
        return
    try:
        platform = Platform.parse(expansion.text)
    except InvalidPlatformError:
        return
    name = from_.name or ""
    if platform.os not in name and platform.architecture not in name:
        message = f'FROM --platform flag should not use constant value "{expansion.text}"'
        yield Finding("FromPlatformFlagConstDisallowed", message, position.span, position.comments)


def _default_bases(plan: BuildPlan, lexer: WordLexer) -> Iterator[tuple[From, str]]:
    """Yield each FROM with its base as it is when no build argument is passed."""
    scope = plan.scope
    predefined = {
        name: scope.global_args[name] for name in platform_arguments(plan.platform, plan.platform, "", {})
    }
    try:
        values = global_arguments(plan.dockerfile.global_args, lexer, predefined, {})
        for stage in plan.every_stage:
            yield stage.from_, lexer.word(stage.from_.base, values)
    except FaultError:
        # A default that only a build argument makes valid; then there is nothing to say about bases.
        return


def _is_reference(text: str) -> bool:
    try:
        check_reference(text, "")
    except FaultError:
        return False
    return True
