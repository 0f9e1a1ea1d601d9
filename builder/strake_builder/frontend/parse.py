"""`parse`: the text of a Dockerfile to its syntax tree, or to all that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from strake_builder.frontend.check_options import parse_check_options
from strake_builder.frontend.errors import Code, DockerfileSyntaxError, FaultError, Problem
from strake_builder.frontend.model.syntax import Arg, Dockerfile, From, Instruction, Position, StageSyntax
from strake_builder.frontend.reading import arguments, instruction_parser, step_parser
from strake_builder.frontend.reading.instruction_parser import Request
from strake_builder.frontend.reading.keywords import split_keywords
from strake_builder.frontend.reading.logical_lines import LineReader, LogicalLine
from strake_builder.frontend.text.source import SourceText, Span, split_lines
from strake_builder.frontend.text.suggest import did_you_mean
from strake_builder.frontend.text.whitespace import SPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Parsed: TypeAlias = "From | Instruction"

_PARSERS: Final[Mapping[str, Callable[[Request], Parsed]]] = {
    "add": step_parser.parse_add,
    "arg": instruction_parser.parse_arg,
    "cmd": instruction_parser.parse_cmd,
    "copy": step_parser.parse_copy,
    "entrypoint": instruction_parser.parse_entrypoint,
    "env": instruction_parser.parse_env,
    "expose": instruction_parser.parse_expose,
    "from": instruction_parser.parse_from,
    "healthcheck": instruction_parser.parse_healthcheck,
    "label": instruction_parser.parse_label,
    "maintainer": instruction_parser.parse_maintainer,
    "run": step_parser.parse_run,
    "shell": instruction_parser.parse_shell,
    "stopsignal": instruction_parser.parse_stopsignal,
    "user": instruction_parser.parse_user,
    "volume": instruction_parser.parse_volume,
    "workdir": instruction_parser.parse_workdir,
}
_MAX_PROBLEMS: Final = 1000
_MAX_INSTRUCTIONS: Final = 20_000
_MAX_STAGES: Final = 500


def parse(text: str, filename: str = "Dockerfile") -> Dockerfile:
    """Parse a Dockerfile.

    Args:
        text: Its content. Decode bytes with `errors="surrogateescape"` to keep what is no UTF-8.
        filename: How messages call it.

    Returns:
        The syntax tree, with at least one stage.

    Raises:
        DockerfileSyntaxError: With every problem found.
    """
    source = SourceText(filename, tuple(split_lines(text)))
    reader = LineReader(source)
    document = _Document(source, reader)
    lines = list(islice(reader, _MAX_INSTRUCTIONS + 1))
    for line, (keyword, rest) in zip(lines, split_keywords([line.text for line in lines]), strict=True):
        if len(document.problems) + len(reader.problems) >= _MAX_PROBLEMS:
            break
        document.add(line, keyword, rest)
    document.finish()
    document.check_options()
    document.check_characters(text)
    problems = sorted([*reader.problems, *document.problems], key=lambda p: (p.line, p.column))
    if problems:
        raise DockerfileSyntaxError(problems)
    return Dockerfile(
        source=source,
        directives=tuple(reader.directives.found),
        escape=reader.directives.escape,
        global_args=tuple(document.global_args),
        stages=tuple(StageSyntax(from_, tuple(own)) for from_, own in document.stages),
        empty_continuations=tuple(document.empty_continuations),
    )


def parse_instruction(line: LogicalLine, keyword: str, rest: str, escape: str) -> Parsed:
    """Parse one logical line, given its keyword and what stands behind it.

    Raises:
        FaultError: It is no instruction.
    """
    position = Position(keyword, line.span, line.text.strip(SPACE), line.comments, line.heredocs)
    flags, rest = arguments.split_flags(rest, escape)
    request = Request(position, flags, rest, escape)
    if keyword.lower() == "onbuild":
        return _parse_onbuild(request, line, escape)
    parser = _PARSERS.get(keyword.lower())
    if parser is None:
        raise FaultError(
            Code.UNKNOWN_INSTRUCTION,
            f"unknown instruction: {keyword[:60]}",
            hint=did_you_mean(keyword.upper(), (name.upper() for name in sorted(arguments.KEYWORDS)))
            or "instructions continue on the next line only behind a backslash",
            needle=keyword,
        )
    return parser(request)


def _parse_onbuild(request: Request, line: LogicalLine, escape: str) -> Instruction:
    keyword, rest = arguments.split_keyword(request.rest)
    trigger = instruction_parser.parse_onbuild(request, keyword, line.text)
    # BuildKit finds a broken trigger when it fires; here it is refused where it is written.
    parse_instruction(LogicalLine(request.rest, line.span, (), line.heredocs), keyword, rest, escape)
    return trigger


@dataclass(slots=True)
class _Document:
    """Collects stages, and problems instead of stopping at the first."""

    source: SourceText
    reader: LineReader
    problems: list[Problem] = field(default_factory=list)
    global_args: list[Arg] = field(default_factory=list)
    stages: list[tuple[From, list[Instruction]]] = field(default_factory=list)
    empty_continuations: list[int] = field(default_factory=list)
    count: int = 0
    any_from: bool = False

    def add(self, line: LogicalLine, keyword: str, rest: str) -> None:
        self.count += 1
        if line.has_empty_continuation:
            self.empty_continuations.append(line.end_of_text)
        self.any_from |= keyword.lower() == "from"
        try:
            self.check_count()
            self.position(parse_instruction(line, keyword, rest, self.reader.directives.escape))
        except FaultError as fault:
            self.problems.append(Problem.at(self.source, line.span, fault, line.text))

    def check_count(self) -> None:
        if self.count > _MAX_INSTRUCTIONS:
            raise FaultError(Code.TOO_LARGE, f"the file has more than {_MAX_INSTRUCTIONS} instructions")

    def position(self, parsed: Parsed) -> None:
        match parsed:
            case From() if len(self.stages) >= _MAX_STAGES:
                raise FaultError(Code.TOO_LARGE, f"the file has more than {_MAX_STAGES} stages")
            case From():
                self.stages.append((parsed, []))
            case _ if self.stages:
                self.stages[-1][1].append(parsed)
            case Arg():
                self.global_args.append(parsed)
            case _ if self.any_from:
                pass  # its FROM is refused already
            case _:
                raise FaultError(
                    Code.BEFORE_FROM,
                    f"{parsed.position.keyword} stands before the first FROM",
                    hint="only ARG may; every other instruction belongs to a stage, which FROM begins",
                    needle=parsed.position.keyword,
                )

    def check_options(self) -> None:
        for directive in self.reader.directives.found:
            if directive.name == "check":
                try:
                    parse_check_options(directive.value)
                except FaultError as fault:
                    self.problems.append(Problem.at(self.source, Span(directive.line, directive.line), fault))

    def check_characters(self, text: str) -> None:
        """Refuse NUL, which no path, argument or variable can hold."""
        position = text.find("\0")
        if position >= 0:
            line = text.count("\n", 0, position) + 1
            fault = FaultError(Code.INVALID_ARGUMENT, "the file holds a NUL character", needle="\0")
            fault.hint = "is it a text file?"
            self.problems.append(Problem.at(self.source, Span(line, line), fault))

    def finish(self) -> None:
        if self.any_from or (self.problems and self.count):
            return
        empty = not any(line.strip() for line in self.source.lines)
        fault = (
            FaultError(Code.EMPTY_FILE, "the Dockerfile is empty")
            if empty
            else FaultError(Code.NO_STAGE, "the Dockerfile contains no stages to build")
        )
        fault.hint = "begin with FROM and a base image, or FROM scratch"
        last = max(1, len(self.source.lines))
        self.problems.append(Problem.at(self.source, Span(last, last), fault))
