"""Physical lines to logical ones: comments, continuations, heredoc bodies.

One pass, each physical line looked at once. The rules are those of BuildKit's parser:

- an escape character at the end of a line, spaces and tabs behind it ignored, joins the next line,
  unless another escape character stands before it;
- comment lines and empty lines inside an instruction are dropped (the latter with a warning);
- a heredoc's body follows the logical line that announces it.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError, Problem
from strake_builder.frontend.model.syntax import Heredoc
from strake_builder.frontend.reading.arguments import KEYWORDS, is_exec_form, split_keyword
from strake_builder.frontend.reading.directives import DirectiveReader
from strake_builder.frontend.reading.heredoc import HeredocWord, heredoc_words
from strake_builder.frontend.text.source import SourceText, Span
from strake_builder.frontend.text.whitespace import SPACE
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_HEREDOCS: Final = frozenset({"run", "copy", "add"})
_BLANKS: Final = " \t"
_MAX_HEREDOCS: Final = 1000


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """One instruction.

    Attributes:
        text: Continuations joined; white space at its start removed, at its end kept.
        span: Its lines, heredoc bodies included.
        comments: The comment lines above it since the last instruction or empty comment.
        heredocs: Its heredocs.
        has_empty_continuation: An empty line stands inside it.
        end_of_text: The line that its text ends on, before heredoc bodies.
    """

    text: str
    span: Span
    comments: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    has_empty_continuation: bool = False
    end_of_text: int = 0


@dataclass(slots=True)
class LineReader:
    """Reads a file; iterate over it once, then look at `directives` and `problems`."""

    source: SourceText
    directives: DirectiveReader = field(default_factory=DirectiveReader)
    problems: list[Problem] = field(default_factory=list)
    number: int = 0
    guessing: bool = True

    def __iter__(self) -> Iterator[LogicalLine]:
        """Yield the logical lines."""
        comments: list[str] = []
        while (line := self._take()) is not None:
            if self.number == 1:
                line = line.removeprefix("\ufeff")
            first = self.number
            body = line.rstrip("\r\n").lstrip(SPACE)
            if body.startswith("#"):
                self._comment(line, body, comments)
                continue
            self.directives.done = True
            text, more = self._continued(body)
            if not more and not text:
                continue
            empty = False
            if more:
                text, empty = self._join(text)
            end_of_text = self.number
            heredocs = self._heredocs(text, first)
            span = Span(first, self.number)
            yield LogicalLine(text, span, tuple(comments), heredocs, empty, end_of_text)
            comments.clear()

    def _take(self) -> str | None:
        if self.number >= len(self.source.lines):
            return None
        self.number += 1
        return self.source.lines[self.number - 1]

    def _comment(self, line: str, body: str, comments: list[str]) -> None:
        try:
            if self.directives.read(body, self.number):
                return
        except FaultError as fault:
            self.directives.done = True
            self.problems.append(Problem.at(self.source, Span(self.number, self.number), fault))
        # BuildKit cuts the first character of the line as it stands, which for an indented comment
        # is a space.
        text = line[1:].strip(SPACE)
        if text:
            comments.append(text)
        else:
            comments.clear()

    def _continued(self, line: str) -> tuple[str, bool]:
        """Cut the continuation character; tell whether there was one."""
        trimmed = line.rstrip(_BLANKS)
        escape = self.directives.escape
        if trimmed.endswith(escape) and not trimmed.endswith(escape * 2):
            return trimmed[:-1], True
        return line, False

    def _join(self, text: str) -> tuple[str, bool]:
        parts = [text]
        empty = False
        more = True
        while more and (line := self._take()) is not None:
            body = line.rstrip("\r\n")
            stripped = body.lstrip(SPACE)
            if stripped.startswith("#"):
                continue
            if not stripped:
                empty = True
                continue
            body, more = self._continued(body)
            parts.append(body)
        return "".join(parts), empty

    def _heredocs(self, text: str, first: int) -> tuple[Heredoc, ...]:
        if "<<" not in text:
            return ()
        known, can = _can_have_heredocs(text, self.directives.escape)
        if not can or not (known or self.guessing):
            return ()
        try:
            words = heredoc_words(text)
        except FaultError as fault:
            self.problems.append(Problem.at(self.source, Span(first, self.number), fault, text))
            return ()
        found: list[Heredoc] = []
        if len(words) > _MAX_HEREDOCS:
            many = FaultError(Code.TOO_LARGE, f"an instruction may have {_MAX_HEREDOCS} heredocs at most")
            self.problems.append(Problem.at(self.source, Span(first, self.number), many, text))
            return ()
        for word in words:
            start = self.number
            body = self._body(word)
            if body is None:
                if known:
                    self.problems.append(self._unterminated(word, Span(first, start), text))
                else:
                    # A misspelt instruction may not have meant a heredoc. Going back more than
                    # once would make reading slower than linear.
                    self.number, self.guessing = start, False
                return tuple(found)
            found.append(Heredoc(word.name, body, word.expand, word.strip_tabs, word.fd))
        return tuple(found)

    def _body(self, word: HeredocWord) -> str | None:
        lines: list[str] = []
        while (line := self._take()) is not None:
            end = line.rstrip("\r\n")
            if (end.lstrip("\t") if word.strip_tabs else end) == word.name:
                return "".join(lines)
            lines.append(line)
        return None

    def _unterminated(self, word: HeredocWord, span: Span, text: str) -> Problem:
        fault = FaultError(
            Code.UNTERMINATED_HEREDOC,
            f"unterminated heredoc: no line consists of {word.name!r} alone",
            hint="the closing line may not be indented"
            + ("" if word.strip_tabs else ", unless it is written <<- and indented with tabs"),
            needle="<<",
        )
        return Problem.at(self.source, span, fault, text)


def _can_have_heredocs(text: str, escape: str) -> tuple[bool, bool]:
    """Tell whether the instruction is a known one, and whether heredocs are looked for."""
    keyword, rest = split_keyword(text)
    if keyword.lower() == "onbuild":
        keyword, rest = split_keyword(rest)
    if keyword.lower() in _WITH_HEREDOCS:
        return True, not is_exec_form(rest, escape)
    return False, keyword.lower() not in KEYWORDS
