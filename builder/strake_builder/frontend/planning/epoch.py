"""SOURCE_DATE_EPOCH: which time an image gets, by build argument or by a global ARG's default.

Source: BuildKit v0.34, `frontend/dockerfile/dockerfile2llb/epoch.go`. A value is a number of seconds, the
word `context`, or a name: first that of a named context, then that of a stage, which must do nothing but
fetch one thing. What has no time leaves the argument unset, so that the default of a stage's own ARG counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_api.models.form import EPOCH_ARGUMENT, EPOCH_OF_CONTEXT, check_epoch, epoch_number
from strake_builder.errors import InvalidRequestError
from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.evaluation.sources import add_source
from strake_builder.frontend.model.moments import Moment, OfContext, OfNamedContext, OfRemote
from strake_builder.frontend.model.steps import PathSource
from strake_builder.frontend.model.syntax import Add, Arg
from strake_builder.frontend.text.suggest import did_you_mean
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_builder.frontend.model.moments import TimeOf
    from strake_builder.frontend.model.named_contexts import NamedContexts
    from strake_builder.frontend.model.steps import GitSource, UrlSource
    from strake_builder.frontend.model.syntax import Dockerfile, Position, StageSyntax
    from strake_builder.frontend.words.lexer import WordLexer

_SOURCE_ONLY: Final = "such a stage is FROM scratch, and has one ADD, of a URL or a git repository, and ARGs"
_NAMES: Final = "name a named context or a stage, or give the word context, or a number of seconds since 1970"


class EpochError(Exception):
    """SOURCE_DATE_EPOCH has no meaning.

    Args:
        fault: why.
        position: of the instruction that is wrong.
    """

    def __init__(self, fault: FaultError, position: Position) -> None:
        super().__init__(fault.message)
        self.fault = fault
        self.position = position


@dataclass(frozen=True, slots=True)
class Epoch:
    """What SOURCE_DATE_EPOCH is.

    Attributes:
        seconds: since 1970; None where nothing tells a time.
        moment: what it is the time of; None for a number, and where nothing is asked for.
    """

    seconds: int | None = None
    moment: Moment | None = None


@dataclass(frozen=True, slots=True)
class EpochReader:
    """Reads SOURCE_DATE_EPOCH of one Dockerfile.

    Attributes:
        dockerfile: the syntax tree.
        lexer: expands words.
        build_args: what the caller passes.
        global_args: in force in FROM lines.
        contexts: what stands in for stages and images.
    """

    dockerfile: Dockerfile
    lexer: WordLexer
    build_args: Mapping[str, str]
    global_args: Mapping[str, str]
    contexts: NamedContexts

    def read(self, time_of: TimeOf) -> Epoch | None:
        """Return what the argument is; None where nobody gives it, an empty default included.

        Args:
            time_of: finds out the time of what is named.

        Raises:
            EpochError: the default is neither a number nor a name, or the stage of the name is no source.
            InvalidRequestError: the build argument is neither.
            BuildError: as `time_of` raises.
        """
        value = self.build_args.get(EPOCH_ARGUMENT, self.global_args.get(EPOCH_ARGUMENT, ""))
        if not value:
            return Epoch() if EPOCH_ARGUMENT in self.build_args else None
        try:
            check_epoch(value)
        except ValueError as error:
            raise self._refused(str(error), "") from None
        number = epoch_number(value)
        if number is not None:
            return Epoch(number)
        moment = self._moment(value)
        return Epoch(time_of(moment), moment)

    def _moment(self, value: str) -> Moment:
        if value == EPOCH_OF_CONTEXT:
            return OfContext()
        found = self.contexts.find(value)
        if found is not None:
            return OfNamedContext(found[0])
        for stage in self.dockerfile.stages:
            if stage.from_.name == value.lower():
                return OfRemote(stage.from_.name, self._source(stage))
        names = [stage.from_.name for stage in self.dockerfile.stages if stage.from_.name]
        raise self._refused(
            f"SOURCE_DATE_EPOCH is {value[:60]!r}, and there is no named context and no stage of that name",
            did_you_mean(value, names, ignore_case=True) or _NAMES,
        )

    def _refused(self, message: str, hint: str) -> EpochError | InvalidRequestError:
        if EPOCH_ARGUMENT not in self.build_args:
            for line in reversed(self.dockerfile.global_args):
                if any(each.name == EPOCH_ARGUMENT for each in line.definitions):
                    fault = FaultError(Code.INVALID_ARGUMENT, message, hint=hint, needle=EPOCH_ARGUMENT)
                    return EpochError(fault, line.position)
        return InvalidRequestError(f"the build argument {message}", hint=hint)

    def _source(self, stage: StageSyntax) -> UrlSource | GitSource:
        """Return what a stage fetches. In it the global arguments hold without being declared."""
        variables = {name: value for name, value in self.global_args.items() if name != EPOCH_ARGUMENT}
        self._require_scratch(stage, variables)
        found: UrlSource | GitSource | None = None
        for instruction in stage.instructions:
            try:
                match instruction:
                    case Arg():
                        self._declare(instruction, variables)
                    case Add() if found is None:
                        found = self._added(instruction, variables)
                    case Add():
                        raise _not_a_source("it has a second ADD")
                    case _:
                        raise _not_a_source(f"it has {instruction.position.keyword.upper()}")
            except FaultError as fault:
                raise EpochError(fault, instruction.position) from None
        if found is None:
            raise EpochError(_not_a_source("it has no ADD"), stage.from_.position)
        return found

    def _require_scratch(self, stage: StageSyntax, variables: Mapping[str, str]) -> None:
        try:
            base = self.lexer.word(stage.from_.base, variables)
            if base != "scratch":
                raise _not_a_source(f"it is FROM {base[:60]}", needle=stage.from_.base)
        except FaultError as fault:
            raise EpochError(fault, stage.from_.position) from None

    def _declare(self, instruction: Arg, variables: dict[str, str]) -> None:
        for each in instruction.definitions:
            if each.name in self.build_args:
                variables[each.name] = self.build_args[each.name]
            elif each.default is not None:
                variables[each.name] = self.lexer.word(each.default, variables)

    def _added(self, instruction: Add, variables: Mapping[str, str]) -> UrlSource | GitSource:
        if instruction.contents or len(instruction.sources) != 1:
            raise _not_a_source("its ADD has other than one source")
        text = self.lexer.word(instruction.sources[0], variables)
        checksum = self.lexer.word(instruction.checksum, variables)
        source = add_source(text, checksum=checksum, keep_git_dir=instruction.keep_git_dir)
        if isinstance(source, PathSource):
            raise _not_a_source("its ADD is of a path in the context")
        return source


def _not_a_source(why: str, *, needle: str = "") -> FaultError:
    message = f"the stage cannot be SOURCE_DATE_EPOCH: {why}"
    return FaultError(Code.INVALID_ARGUMENT, message, hint=_SOURCE_ONLY, needle=needle)


def with_epoch(arguments: Mapping[str, str], epoch: Epoch) -> dict[str, str]:
    """Return arguments in which SOURCE_DATE_EPOCH is the number, or is not any more where there is none."""
    if EPOCH_ARGUMENT not in arguments:
        return dict(arguments)
    rest = {name: value for name, value in arguments.items() if name != EPOCH_ARGUMENT}
    return rest if epoch.seconds is None else {**rest, EPOCH_ARGUMENT: str(epoch.seconds)}
