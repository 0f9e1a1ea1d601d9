"""ONBUILD triggers: text that an image or a stage hands to the stages built FROM it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.model.syntax import From, Instruction, Maintainer, OnBuild
from strake_builder.frontend.parse import parse_instruction
from strake_builder.frontend.reading.arguments import split_keyword
from strake_builder.frontend.reading.logical_lines import LineReader, LogicalLine
from strake_builder.frontend.text.source import SourceText, Span, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_TRIGGERS: Final = 1000


def parse_trigger(text: str, span: Span) -> Instruction:
    """Parse one trigger; its positions are `span`, the FROM line that brought it in.

    Raises:
        FaultError: It is not exactly one instruction, or one that cannot be a trigger.
    """
    reader = LineReader(SourceText("ONBUILD", tuple(split_lines(text))))
    lines = list(reader)
    if reader.problems:
        raise _broken(text, reader.problems[0].message)
    if len(lines) != 1:
        raise _broken(text, "it must be a single instruction")
    (line,) = lines
    placed = LogicalLine(line.text, span, (), line.heredocs)
    try:
        parsed = parse_instruction(placed, *split_keyword(line.text), reader.directives.escape)
    except FaultError as fault:
        raise _broken(text, fault.message, fault.hint) from fault
    if isinstance(parsed, From | Maintainer | OnBuild):
        raise _broken(text, f"{parsed.position.keyword.upper()} isn't allowed as an ONBUILD trigger")
    return parsed


def parse_triggers(texts: Iterable[str], span: Span) -> list[Instruction]:
    """Parse triggers in order.

    Raises:
        FaultError: As `parse_trigger`, or there are more than 1,000.
    """
    listed = list(texts)
    if len(listed) > _MAX_TRIGGERS:
        raise FaultError(
            Code.TOO_LARGE, f"the base has {len(listed)} ONBUILD triggers; {_MAX_TRIGGERS} are allowed"
        )
    return [parse_trigger(text, span) for text in listed]


def _broken(text: str, why: str, hint: str = "") -> FaultError:
    shown = text.strip().split("\n", 1)[0][:80]
    return FaultError(
        Code.INVALID_TRIGGER, f"the base's ONBUILD trigger {shown!r} is broken: {why}", hint=hint
    )
