"""Parser directives: `# syntax=…`, `# escape=…` and `# check=…` at the top of the file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.model.syntax import Directive
from strake_builder.frontend.text.whitespace import SPACE

_KNOWN: Final = frozenset({"syntax", "escape", "check"})
_DIRECTIVE: Final = re.compile(
    r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.*[^\t\n\f\r ])[\t\n\f\r ]*\Z"
)


@dataclass(slots=True)
class DirectiveReader:
    """Reads directives line by line until the first line that is none.

    After an unknown name, an ordinary comment, an empty line or an instruction, nothing is a
    directive any more (BuildKit's DirectiveParser).
    """

    found: list[Directive] = field(default_factory=list)
    done: bool = False

    @property
    def escape(self) -> str:
        """The escape character in force."""
        return next((d.value for d in self.found if d.name == "escape"), "\\")

    def read(self, line: str, number: int) -> bool:
        """Take a line, leading white space and line ending removed; tell whether it is a directive.

        Raises:
            FaultError: A directive is given twice, or `escape` is neither a backslash nor a backtick.
        """
        if self.done:
            return False
        directive = parse_directive(line[1:].lstrip(SPACE), number) if line.startswith("#") else None
        if directive is None:
            self.done = True
            return False
        if any(d.name == directive.name for d in self.found):
            raise FaultError(Code.DIRECTIVE, f"only one {directive.name} parser directive can be used")
        if directive.name == "escape" and directive.value not in ("\\", "`"):
            raise FaultError(
                Code.DIRECTIVE,
                f"invalid escape character {directive.value!r}",
                hint="use a backslash or a backtick",
                needle=directive.value,
            )
        self.found.append(directive)
        return True


def parse_directive(text: str, number: int) -> Directive | None:
    """Read `name=value`, None when it is no directive that is known."""
    match = _DIRECTIVE.match(text)
    if match is None or match[1].lower() not in _KNOWN:
        return None
    return Directive(name=match[1].lower(), value=match[2], line=number)
