"""Everything that the frontend raises.

    DockerfileError                 (strake_builder.errors) a user can fix it in the Dockerfile
    ├── FaultError                  something is wrong with a piece of text; the caller knows where it stands
    └── DockerfileRefusedError      the Dockerfile is refused; lists every problem found, by position
        ├── DockerfileSyntaxError   the text is no Dockerfile
        ├── PlanError               stages, target and arguments do not fit together
        └── EvaluationError         an instruction cannot be carried out on its base

The pure helpers (words, patterns, modes, ignore files) raise `FaultError`. Parsing, planning and evaluating
turn faults into problems with a position. `Code` is stable: scripts may rely on it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from strake_api.text import visible
from strake_builder.errors import DockerfileError, Location
from strake_builder.frontend.text.printable import printable
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_builder.frontend.text.source import SourceText, Span

_SHOWN = 160
_MAX_SHOWN_PROBLEMS = 20


class Code(StrEnum):
    """What kind of mistake it is. Values are stable."""

    EMPTY_FILE = "empty-file"
    NO_STAGE = "no-stage"
    BEFORE_FROM = "instruction-before-from"
    DIRECTIVE = "invalid-directive"
    UNKNOWN_INSTRUCTION = "unknown-instruction"
    UNKNOWN_FLAG = "unknown-flag"
    INVALID_FLAG = "invalid-flag"
    MISSING_ARGUMENT = "missing-argument"
    TOO_MANY_ARGUMENTS = "too-many-arguments"
    INVALID_ARGUMENT = "invalid-argument"
    INVALID_JSON = "invalid-json"
    UNTERMINATED_HEREDOC = "unterminated-heredoc"
    INVALID_HEREDOC = "invalid-heredoc"
    INVALID_ASSIGNMENT = "invalid-assignment"
    INVALID_STAGE_NAME = "invalid-stage-name"
    INVALID_TRIGGER = "invalid-trigger"
    INVALID_MOUNT = "invalid-mount"
    UNSUPPORTED = "unsupported"
    SUBSTITUTION = "invalid-substitution"
    REQUIRED_VARIABLE = "required-variable"
    TOO_LARGE = "too-large"
    UNKNOWN_TARGET = "unknown-target"
    UNKNOWN_STAGE = "unknown-stage"
    STAGE_ORDER = "stage-order"
    CIRCULAR = "circular-dependency"
    BLANK_BASE = "blank-base"
    INVALID_REFERENCE = "invalid-reference"
    INVALID_PLATFORM = "invalid-platform"
    INVALID_PORT = "invalid-port"
    INVALID_SIGNAL = "invalid-signal"
    INVALID_MODE = "invalid-mode"
    INVALID_SOURCE = "invalid-source"
    INVALID_CHECKSUM = "invalid-checksum"
    INVALID_PATTERN = "invalid-pattern"
    INVALID_CHECK_OPTION = "invalid-check-option"


class FaultError(DockerfileError):
    """Something is wrong with a piece of text.

    Args:
        code: The kind of mistake.
        message: What is wrong, a clause without a full stop.
        hint: What to try, or "".
        needle: The offending piece as it stands in the file, for the caret; "" when unknown.
    """

    def __init__(self, code: Code, message: str, *, hint: str = "", needle: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.needle = needle


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a Dockerfile.

    Attributes:
        code: The kind of mistake.
        message: What is wrong, a clause without a full stop.
        hint: What to try, or "".
        file: The Dockerfile's name.
        line: From 1.
        column: From 1, in characters.
        instruction: The instruction on one line, "" for the file as a whole.
        source_line: The physical line, for the excerpt.
    """

    code: Code
    message: str
    hint: str
    file: str
    line: int
    column: int
    instruction: str
    source_line: str

    @classmethod
    def at(cls, source: SourceText, span: Span, fault: FaultError, instruction: str = "") -> Problem:
        """Give a fault its position."""
        line, column = source.locate(span, fault.needle)
        return cls(
            code=fault.code,
            message=printable(fault.message),
            hint=printable(fault.hint),
            file=source.filename,
            line=line,
            column=column,
            instruction=printable(instruction),
            source_line=source.line(line),
        )

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        head = f"{printable(self.file)}:{self.line}:{self.column}: {self.message}{hint} [{self.code}]"
        if not self.source_line.strip():
            return head
        shown, caret = _excerpt(self.source_line, self.column)
        number = f"{self.line:>5}"
        return f"{head}\n{number} | {shown}\n{' ' * len(number)} | {caret}^"


class DockerfileRefusedError(DockerfileError):
    """The Dockerfile is refused.

    Args:
        problems: At least one, in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(
            first.message,
            hint=first.hint,
            location=Location(file=first.file, line=first.line, instruction=first.instruction),
        )
        self.problems = tuple(problems)

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.problems[:_MAX_SHOWN_PROBLEMS]]
        if len(self.problems) > _MAX_SHOWN_PROBLEMS:
            shown.append(f"… and {len(self.problems) - _MAX_SHOWN_PROBLEMS} more problems")
        return "\n".join(shown)

    def for_terminal(self) -> str:
        """Return every problem with its position in the file."""
        return visible(f"error: the Dockerfile is refused\n{self}")


class DockerfileSyntaxError(DockerfileRefusedError):
    """The text is no Dockerfile."""


class PlanError(DockerfileRefusedError):
    """Stages, target and arguments do not fit together."""


class EvaluationError(DockerfileRefusedError):
    """An instruction cannot be carried out on its base."""


def _excerpt(line: str, column: int) -> tuple[str, str]:
    """Cut a long line around a column; return it and the white space before the caret."""
    start = max(0, column - 1 - _SHOWN // 2) if len(line) > _SHOWN else 0
    shown = line[start : start + _SHOWN]
    before = shown[: column - 1 - start]
    return printable(shown), "".join("\t" if c == "\t" else " " for c in before)
