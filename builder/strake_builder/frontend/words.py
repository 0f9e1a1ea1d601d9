"""Shell words: quotes, escapes and variables, as BuildKit's shell package reads them.

One lexer serves every use, with switches for what a caller wants kept. It never looks at the
environment of this process: variables come from the mapping that the caller passes.

Two limits keep hostile input harmless, and no honest file comes near them: substitutions nest at most
`MAX_DEPTH` deep, and expanding adds at most `MAX_GROWTH` characters to a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_builder.frontend import glob_trim
from strake_builder.frontend.errors import Code, Fault
from strake_builder.frontend.whitespace import SPACE

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH: Final = 100
MAX_GROWTH: Final = 1 << 20
_SPECIAL_PARAMETERS: Final = "@*#?-$!"
_PLAIN: Final = {escape: re.compile(rf"[^$<'\"{re.escape(escape)}{SPACE}}}/]+") for escape in ("\\", "`")}
_IN_QUOTES: Final = {escape: re.compile(rf"[^\"${re.escape(escape)}]+") for escape in ("\\", "`")}


@dataclass(frozen=True, slots=True)
class Expansion:
    """The outcome of expanding a text.

    Attributes:
        text: All of it as one word.
        words: Its words, split at white space outside quotes; empty words vanish.
        matched: Names of variables it uses that are set.
        unmatched: Names of variables it uses that are not.
    """

    text: str
    words: tuple[str, ...]
    matched: frozenset[str]
    unmatched: frozenset[str]


@dataclass(frozen=True, slots=True)
class WordLexer:
    r"""Expands variables and takes quotes away.

    Attributes:
        escape: The escape character, "\" or "`".
        raw_quotes: Keep quotation marks.
        raw_escapes: Keep escape characters.
        quotes: When False, quotation marks are ordinary characters.
        keep_unset: Leave references to variables that are not set as they are.
    """

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    quotes: bool = True
    keep_unset: bool = False

    def expand(self, text: str, variables: Mapping[str, str]) -> Expansion:
        """Expand a text.

        Raises:
            Fault: A quote or brace is not closed, a substitution is malformed or too deep, or a
                variable that must be set (`${x:?}`) is not.
        """
        if not any(char in text for char in ("$", "'", '"', self.escape, "<")):
            return Expansion(text, tuple(_split(text)), frozenset(), frozenset())
        scan = _Scan(self, text, variables)
        result, words = scan.until(None, raw_escapes=self.raw_escapes, pattern=False)
        return Expansion(result, tuple(words), frozenset(scan.matched), frozenset(scan.unmatched))

    def word(self, text: str, variables: Mapping[str, str]) -> str:
        """Return `expand(…).text`."""
        return self.expand(text, variables).text


def _split(text: str) -> list[str]:
    return [word for word in re.split(f"[{SPACE}]+", text) if word]


@dataclass(slots=True)
class _Words:
    """Collects words; `add` splits at white space, `add_quoted` does not."""

    done: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        parts = re.split(f"[{SPACE}]+", text)
        for number, part in enumerate(parts):
            if number:
                self.finish()
            if part:
                self.current.append(part)

    def add_quoted(self, text: str) -> None:
        self.current.append(text)

    def finish(self) -> None:
        word = "".join(self.current)
        self.current.clear()
        if word:
            self.done.append(word)


@dataclass(slots=True)
class _Scan:
    lexer: WordLexer
    text: str
    variables: Mapping[str, str]
    position: int = 0
    depth: int = 0
    grown: int = 0
    matched: set[str] = field(default_factory=set)
    unmatched: set[str] = field(default_factory=set)

    def peek(self) -> str:
        """Return the next character, "" at the end."""
        return self.text[self.position : self.position + 1]

    def next(self) -> str:
        char = self.peek()
        self.position += 1
        return char

    def until(self, stop: str | None, *, raw_escapes: bool, pattern: bool) -> tuple[str, list[str]]:
        """Read up to `stop` (None: the end). `pattern` doubles escapes that quotes protect."""
        out: list[str] = []
        words = _Words()
        plain = _PLAIN[self.lexer.escape]
        quotes = ("'", '"') if self.lexer.quotes else ()
        while char := self.peek():
            if char == stop:
                self.position += 1
                words.finish()
                return "".join(out), words.done
            if char == "$":
                piece = self.dollar()
                words.add(piece)
            elif char == "<":
                piece = self.redirection()
                words.add_quoted(piece)
            elif char in quotes:
                piece = self.single(pattern=pattern) if char == "'" else self.double(raw_escapes, pattern)
                words.add_quoted(piece)
            elif char == self.lexer.escape:
                self.position += 1
                escaped = self.next()
                piece = char + escaped if raw_escapes else escaped
                words.add_quoted(piece)
            else:
                found = plain.match(self.text, self.position)
                piece = found.group() if found else char
                self.position += len(piece)
                words.add(piece)
            out.append(piece)
        if stop is not None:
            raise Fault(
                Code.SUBSTITUTION,
                f"unexpected end of statement while looking for matching {stop}",
                needle="${",
            )
        words.finish()
        return "".join(out), words.done

    def single(self, *, pattern: bool) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise self.unclosed("single-quote", "'")
        inner = self.text[self.position + 1 : end]
        self.position = end + 1
        if pattern:
            inner = inner.replace(self.lexer.escape, self.lexer.escape * 2)
        return f"'{inner}'" if self.lexer.raw_quotes else inner

    def double(self, raw_escapes: bool, pattern: bool) -> str:  # noqa: FBT001 internal, and the pair belongs together
        escape = self.lexer.escape
        mark = self.next() if self.lexer.raw_quotes else ""
        if not mark:
            self.position += 1
        out = [mark]
        plain = _IN_QUOTES[escape]
        while char := self.peek():
            if char == '"':
                self.position += 1
                out.append(mark)
                return "".join(out)
            if char == "$":
                out.append(self.dollar())
            elif char == escape:
                out.append(self.escaped_in_double(raw_escapes, pattern))
            else:
                found = plain.match(self.text, self.position)
                piece = found.group() if found else char
                self.position += len(piece)
                out.append(piece)
        raise self.unclosed("double-quote", '"')

    def escaped_in_double(self, raw_escapes: bool, pattern: bool) -> str:  # noqa: FBT001 as `double`
        escape = self.next()
        following = self.peek()
        if not following:
            return ""
        if following in ('"', "$", escape):
            self.position += 1
            return escape + following if raw_escapes else following
        return escape * 2 if raw_escapes and (not self.lexer.raw_quotes or pattern) else escape

    def unclosed(self, what: str, mark: str) -> Fault:
        return Fault(
            Code.SUBSTITUTION,
            f"unexpected end of statement while looking for matching {what}",
            hint=f"close it, or write {self.lexer.escape}{mark} for the character itself",
            needle=mark,
        )

    def redirection(self) -> str:
        """Read "<", or "<<" with the spaces behind it, which belong to a heredoc's word."""
        begin = self.position
        self.position += 1
        if self.peek() == "<":
            self.position += 1
            while self.peek() and self.peek() in "\t\r ":
                self.position += 1
        return self.text[begin : self.position]

    def name(self) -> str:
        begin = self.position
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.position += 1
        elif first and first in _SPECIAL_PARAMETERS:
            self.position += 1
        else:
            while (char := self.peek()) and (char == "_" or char.isalpha() or char.isdecimal()):
                self.position += 1
        return self.text[begin : self.position]

    def get(self, name: str) -> str | None:
        value = self.variables.get(name)
        (self.unmatched if value is None else self.matched).add(name)
        return value

    def grow(self, value: str) -> str:
        self.grown += len(value)
        if self.grown > MAX_GROWTH:
            raise Fault(
                Code.TOO_LARGE,
                f"expanding variables makes this text longer by more than {MAX_GROWTH} characters",
                needle="$",
            )
        return value

    def dollar(self) -> str:
        begin = self.position
        self.position += 1
        if self.peek() != "{":
            name = self.name()
            if not name:
                return "$"
            value = self.get(name)
            if value is None:
                return f"${name}" if self.lexer.keep_unset else ""
            return self.grow(value)
        self.position += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Fault(
                Code.SUBSTITUTION, f"substitutions are nested more than {MAX_DEPTH} deep", needle="${" * 3
            )
        result = self.braced(begin)
        self.depth -= 1
        return result

    def braced(self, begin: int) -> str:
        if not self.peek():
            raise self.missing("}", begin)
        if self.peek() in "{}:":
            raise self.bad(begin, "bad substitution")
        name = self.name()
        operator = self.next()
        if operator == "}":
            value = self.get(name)
            if value is None:
                return f"${{{name}}}" if self.lexer.keep_unset else ""
            return self.grow(value)
        if operator == "/":
            return self.replacement(name, begin)
        colon = operator == ":"
        if colon:
            operator = self.next()
        if not operator:
            raise self.missing("}", begin)
        if operator not in "+-?#%" or (colon and operator in "#%"):
            raise self.bad(begin, f"unsupported modifier ({':' * colon}{operator}) in substitution")
        raw = operator in "#%"
        word = self.operand("}", begin, raw_escapes=raw, pattern=raw)
        value = self.get(name)
        if value is None and self.lexer.keep_unset:
            return f"${{{name}{':' * colon}{operator}{word}}}"
        return self.apply(operator, name, value, word, null_is_unset=colon)

    def apply(self, operator: str, name: str, value: str | None, word: str, *, null_is_unset: bool) -> str:
        missing = value is None or (null_is_unset and not value)
        match operator:
            case "-":
                return word if missing or value is None else self.grow(value)
            case "+":
                return "" if missing else word
            case "?":
                if missing or value is None:
                    what = "is not allowed to be unset" if value is None else "is not allowed to be empty"
                    raise Fault(
                        Code.REQUIRED_VARIABLE,
                        f"{name}: {word or what}",
                        hint=f"pass --build-arg {name}=…, with an ARG {name} in scope",
                        needle=f"{name}",
                    )
                return self.grow(value)
            case "#":
                return glob_trim.trim_prefix(
                    word.removeprefix("#"), value or "", longest=word.startswith("#")
                )
            case _:
                return glob_trim.trim_suffix(
                    word.removeprefix("%"), value or "", longest=word.startswith("%")
                )

    def replacement(self, name: str, begin: int) -> str:
        every = self.peek() == "/"
        if every:
            self.position += 1
        pattern = self.operand("/", begin, raw_escapes=True, pattern=True)
        replacement = self.operand("}", begin, raw_escapes=True, pattern=False)
        value = self.get(name)
        if value is None and self.lexer.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return self.grow(glob_trim.replace(pattern, value or "", replacement, every=every))

    def operand(self, stop: str, begin: int, *, raw_escapes: bool, pattern: bool) -> str:
        try:
            return self.until(stop, raw_escapes=raw_escapes, pattern=pattern)[0]
        except Fault as fault:
            if self.peek() or fault.code is not Code.SUBSTITUTION:
                raise
            raise self.missing(stop, begin) from fault

    def missing(self, char: str, begin: int) -> Fault:
        return self.bad(begin, f"missing '{char}'")

    def bad(self, begin: int, message: str) -> Fault:
        shown = self.text[begin : begin + 40]
        return Fault(
            Code.SUBSTITUTION,
            f"syntax error: {message} in {shown!r}",
            hint=f"write {self.lexer.escape}$ for a dollar sign",
            needle=shown,
        )
