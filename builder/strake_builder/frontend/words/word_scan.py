"""The scanner behind `WordLexer`: one pass over a text, going down for each nested substitution."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.text.whitespace import SPACE
from strake_builder.frontend.words import glob_trim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_builder.frontend.words.lexer import WordLexer

MAX_DEPTH: Final = 100
MAX_GROWTH: Final = 1 << 20
_SPECIAL_PARAMETERS: Final = "@*#?-$!"
_PLAIN: Final = {escape: re.compile(rf"[^$<'\"{re.escape(escape)}{SPACE}}}/]+") for escape in ("\\", "`")}
_IN_QUOTES: Final = {escape: re.compile(rf"[^\"${re.escape(escape)}]+") for escape in ("\\", "`")}


def split_words(text: str) -> list[str]:
    """Split at white space; no words are empty."""
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
class WordScan:
    """A text being read.

    Attributes:
        lexer: The switches in force.
        text: What is read.
        variables: What `$name` stands for.
        position: Of the next character.
        depth: Of nested substitutions.
        grown: Characters that variables have added.
        matched: Variables used that are set.
        unmatched: Variables used that are not.
    """

    lexer: WordLexer
    text: str
    variables: Mapping[str, str]
    position: int = 0
    depth: int = 0
    grown: int = 0
    matched: set[str] = field(default_factory=set)
    unmatched: set[str] = field(default_factory=set)

    def _peek(self) -> str:
        """Return the next character, "" at the end."""
        return self.text[self.position : self.position + 1]

    def _next(self) -> str:
        char = self._peek()
        self.position += 1
        return char

    def until(self, stop: str | None, *, raw_escapes: bool, pattern: bool) -> tuple[str, list[str]]:
        """Read up to `stop` (None: the end). `pattern` doubles escapes that quotes protect."""
        out: list[str] = []
        words = _Words()
        plain = _PLAIN[self.lexer.escape]
        quotes = ("'", '"') if self.lexer.quotes else ()
        while char := self._peek():
            if char == stop:
                self.position += 1
                words.finish()
                return "".join(out), words.done
            if char == "$":
                piece = self._dollar()
                words.add(piece)
            elif char == "<":
                piece = self._redirection()
                words.add_quoted(piece)
            elif char in quotes:
                piece = self._single(pattern=pattern) if char == "'" else self._double(raw_escapes, pattern)
                words.add_quoted(piece)
            elif char == self.lexer.escape:
                self.position += 1
                escaped = self._next()
                piece = char + escaped if raw_escapes else escaped
                words.add_quoted(piece)
            else:
                found = plain.match(self.text, self.position)
                piece = found.group() if found else char
                self.position += len(piece)
                words.add(piece)
            out.append(piece)
        if stop is not None:
            raise FaultError(
                Code.SUBSTITUTION,
                f"unexpected end of statement while looking for matching {stop}",
                needle="${",
            )
        words.finish()
        return "".join(out), words.done

    def _single(self, *, pattern: bool) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise self._unclosed("single-quote", "'")
        inner = self.text[self.position + 1 : end]
        self.position = end + 1
        if pattern:
            inner = inner.replace(self.lexer.escape, self.lexer.escape * 2)
        return f"'{inner}'" if self.lexer.raw_quotes else inner

    def _double(self, raw_escapes: bool, pattern: bool) -> str:
        escape = self.lexer.escape
        mark = self._next() if self.lexer.raw_quotes else ""
        if not mark:
            self.position += 1
        out = [mark]
        plain = _IN_QUOTES[escape]
        while char := self._peek():
            if char == '"':
                self.position += 1
                out.append(mark)
                return "".join(out)
            if char == "$":
                out.append(self._dollar())
            elif char == escape:
                out.append(self._escaped_in_double(raw_escapes, pattern))
            else:
                found = plain.match(self.text, self.position)
                piece = found.group() if found else char
                self.position += len(piece)
                out.append(piece)
        raise self._unclosed("double-quote", '"')

    def _escaped_in_double(self, raw_escapes: bool, pattern: bool) -> str:
        escape = self._next()
        following = self._peek()
        if not following:
            return ""
        if following in ('"', "$", escape):
            self.position += 1
            return escape + following if raw_escapes else following
        return escape * 2 if raw_escapes and (not self.lexer.raw_quotes or pattern) else escape

    def _unclosed(self, what: str, mark: str) -> FaultError:
        return FaultError(
            Code.SUBSTITUTION,
            f"unexpected end of statement while looking for matching {what}",
            hint=f"close it, or write {self.lexer.escape}{mark} for the character itself",
            needle=mark,
        )

    def _redirection(self) -> str:
        """Read "<", or "<<" with the spaces behind it, which belong to a heredoc's word."""
        begin = self.position
        self.position += 1
        if self._peek() == "<":
            self.position += 1
            while self._peek() and self._peek() in "\t\r ":
                self.position += 1
        return self.text[begin : self.position]

    def _name(self) -> str:
        begin = self.position
        first = self._peek()
        if first.isdecimal():
            while self._peek().isdecimal():
                self.position += 1
        elif first and first in _SPECIAL_PARAMETERS:
            self.position += 1
        else:
            while (char := self._peek()) and (char == "_" or char.isalpha() or char.isdecimal()):
                self.position += 1
        return self.text[begin : self.position]

    def _get(self, name: str) -> str | None:
        value = self.variables.get(name)
        (self.unmatched if value is None else self.matched).add(name)
        return value

    def _grow(self, value: str) -> str:
        self.grown += len(value)
        if self.grown > MAX_GROWTH:
            raise FaultError(
                Code.TOO_LARGE,
                f"expanding variables makes this text longer by more than {MAX_GROWTH} characters",
                needle="$",
            )
        return value

    def _dollar(self) -> str:
        begin = self.position
        self.position += 1
        if self._peek() != "{":
            name = self._name()
            if not name:
                return "$"
            value = self._get(name)
            if value is None:
                return f"${name}" if self.lexer.keep_unset else ""
            return self._grow(value)
        self.position += 1
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FaultError(
                Code.SUBSTITUTION, f"substitutions are nested more than {MAX_DEPTH} deep", needle="${" * 3
            )
        result = self._braced(begin)
        self.depth -= 1
        return result

    def _braced(self, begin: int) -> str:
        if not self._peek():
            raise self._missing("}", begin)
        if self._peek() in "{}:":
            raise self._bad(begin, "bad substitution")
        name = self._name()
        operator = self._next()
        if operator == "}":
            value = self._get(name)
            if value is None:
                return f"${{{name}}}" if self.lexer.keep_unset else ""
            return self._grow(value)
        if operator == "/":
            return self._replacement(name, begin)
        return self._modified(name, operator, begin)

    def _modified(self, name: str, operator: str, begin: int) -> str:
        colon = ":" if operator == ":" else ""
        if colon:
            operator = self._next()
        if not operator:
            raise self._missing("}", begin)
        unknown = self._bad(begin, f"unsupported modifier ({colon}{operator}) in substitution")
        if (operator in "#%") if colon else (operator not in "+-?#%"):
            raise unknown
        raw = operator in "#%"
        word = self._operand("}", begin, raw_escapes=raw, pattern=raw)
        value = self._get(name)
        if value is None and self.lexer.keep_unset:
            return f"${{{name}{colon}{operator}{word}}}"
        if operator not in "+-?#%":
            raise unknown
        return self._apply(operator, name, value, word, null_is_unset=bool(colon))

    def _apply(self, operator: str, name: str, value: str | None, word: str, *, null_is_unset: bool) -> str:
        missing = value is None or (null_is_unset and not value)
        match operator:
            case "-":
                return word if missing or value is None else self._grow(value)
            case "+":
                return "" if missing else word
            case "?":
                if missing or value is None:
                    what = "is not allowed to be unset" if value is None else "is not allowed to be empty"
                    raise FaultError(
                        Code.REQUIRED_VARIABLE,
                        f"{name}: {word or what}",
                        hint=f"pass --build-arg {name}=…, with an ARG {name} in scope",
                        needle=f"{name}",
                    )
                return self._grow(value)
            case "#":
                return glob_trim.trim_prefix(
                    word.removeprefix("#"), value or "", longest=word.startswith("#")
                )
            case _:
                return glob_trim.trim_suffix(
                    word.removeprefix("%"), value or "", longest=word.startswith("%")
                )

    def _replacement(self, name: str, begin: int) -> str:
        every = self._peek() == "/"
        if every:
            self.position += 1
        pattern = self._operand("/", begin, raw_escapes=True, pattern=True)
        replacement = self._operand("}", begin, raw_escapes=True, pattern=False)
        value = self._get(name)
        if value is None and self.lexer.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return self._grow(glob_trim.replace(pattern, value or "", replacement, every=every))

    def _operand(self, stop: str, begin: int, *, raw_escapes: bool, pattern: bool) -> str:
        try:
            return self.until(stop, raw_escapes=raw_escapes, pattern=pattern)[0]
        except FaultError as fault:
            if self._peek() or fault.code is not Code.SUBSTITUTION:
                raise
            raise self._missing(stop, begin) from fault

    def _missing(self, char: str, begin: int) -> FaultError:
        return self._bad(begin, f"missing '{char}'")

    def _bad(self, begin: int, message: str) -> FaultError:
        shown = self.text[begin : begin + 40]
        return FaultError(
            Code.SUBSTITUTION,
            f"syntax error: {message} in {shown!r}",
            hint=f"write {self.lexer.escape}$ for a dollar sign",
            needle=shown,
        )
