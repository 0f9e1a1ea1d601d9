"""Patterns of `${x#p}`, `${x%p}` and `${x/p/r}`: literals, `?` and `*`, without brackets.

Matching finds the pieces between the stars one after the other, so that no pattern makes it slower
than the product of pattern and value; a regular expression would backtrack. Source of the rules:
BuildKit's shell package, which matches `*` and `?` against anything but a newline.
"""

from __future__ import annotations

import re
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_oci.lazy_dataclass import dataclass

_MAX_PATTERN: Final = 10_000
_MAX_RESULT: Final = 1 << 21


@dataclass(frozen=True, slots=True)
class _Piece:
    """What stands between two stars: text in which None is any one character."""

    parts: tuple[str | None, ...]
    regex: re.Pattern[str] | None
    literal: str

    @property
    def length(self) -> int:
        return len(self.parts)

    def at(self, value: str, position: int) -> bool:
        if self.regex is None:
            return value.startswith(self.literal, position)
        return self.regex.match(value, position) is not None

    def first(self, value: str, start: int) -> int:
        if self.regex is None:
            return value.find(self.literal, start)
        found = self.regex.search(value, start)
        return found.start() if found else -1

    def last(self, value: str, start: int, stop: int) -> int:
        if self.regex is None:
            return value.rfind(self.literal, start, stop)
        return next((p for p in range(stop - self.length, start - 1, -1) if self.at(value, p)), -1)


def _piece(parts: list[str | None]) -> _Piece:
    if None not in parts:
        return _Piece(tuple(parts), None, "".join(p for p in parts if p is not None))
    text = "".join("." if p is None else re.escape(p) for p in parts)
    return _Piece(tuple(parts), re.compile(text), "")


@dataclass(frozen=True, slots=True)
class TrimPattern:
    """A parsed pattern; stars lie between its pieces."""

    pieces: tuple[_Piece, ...]

    @classmethod
    def parse(cls, text: str) -> TrimPattern:
        r"""Read a pattern. A backslash escapes `*`, `?` and itself, and vanishes before `}` and `/`.

        Raises:
            FaultError: Another character is escaped, or the pattern is longer than 10,000 characters.
        """
        return cls(tuple(_piece(parts) for parts in _split(text)))

    def reversed(self) -> TrimPattern:
        """Return the pattern that matches reversed values."""
        return TrimPattern(tuple(_piece(list(reversed(p.parts))) for p in reversed(self.pieces)))

    def prefix_end(self, value: str, *, longest: bool) -> int | None:
        """Return where a match at the start of `value` ends, None without one."""
        if not self.pieces[0].at(value, 0):
            return None
        return self._end(value, 0, longest=longest)

    def find(self, value: str, start: int) -> tuple[int, int] | None:
        """Return the leftmost, longest match from `start` on."""
        begin = self.pieces[0].first(value, start)
        if begin < 0:
            return None
        end = self._end(value, begin, longest=True)
        return None if end is None else (begin, end)

    def _end(self, value: str, begin: int, *, longest: bool) -> int | None:
        position = begin + self.pieces[0].length
        if len(self.pieces) == 1:
            return position
        *middle, last = self.pieces[1:]
        newline = value.find("\n", position)
        line_end = len(value) if newline < 0 else newline
        for piece in middle:
            found = piece.first(value, position)
            if found < 0 or found > line_end:
                return None
            position = found + piece.length
        if longest:
            found = last.last(value, position, min(line_end + last.length, len(value)))
        else:
            found = last.first(value, position)
        return None if found < 0 or found > line_end else found + last.length


def _split(text: str) -> list[list[str | None]]:
    if len(text) > _MAX_PATTERN:
        raise FaultError(
            Code.TOO_LARGE,
            f"a pattern of {len(text)} characters in a substitution; {_MAX_PATTERN} are allowed",
        )
    pieces: list[list[str | None]] = [[]]
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            pieces.append([])
        elif char == "?":
            pieces[-1].append(None)
        elif char == "\\":
            escaped = text[position : position + 1]
            if escaped in ("}", "/"):
                continue
            if escaped not in ("*", "?", "\\") or not escaped:
                raise FaultError(
                    Code.SUBSTITUTION,
                    f"invalid escape '\\{escaped}' in the pattern {text[:80]!r} of a substitution",
                    hint="only *, ? and \\ can be escaped there",
                )
            pieces[-1].append(escaped)
            position += 1
        else:
            pieces[-1].append(char)
    return pieces


def trim_prefix(pattern: str, value: str, *, longest: bool) -> str:
    """Return `${value#pattern}`, with `longest` `${value##pattern}`."""
    end = TrimPattern.parse(pattern).prefix_end(value, longest=longest)
    return value if end is None else value[end:]


def trim_suffix(pattern: str, value: str, *, longest: bool) -> str:
    """Return `${value%pattern}`, with `longest` `${value%%pattern}`."""
    backwards = value[::-1]
    end = TrimPattern.parse(pattern).reversed().prefix_end(backwards, longest=longest)
    return value if end is None else backwards[end:][::-1]


def replace(pattern: str, value: str, replacement: str, *, every: bool) -> str:
    """Return `${value/pattern/replacement}`, with `every` `${value//pattern/replacement}`."""
    parsed = TrimPattern.parse(pattern)
    pieces: list[str] = []
    copied = position = added = 0
    while position <= len(value):
        found = parsed.find(value, position)
        if found is None:
            break
        begin, end = found
        if begin == end and begin == copied and pieces:
            # An empty match right behind another one does not count (Go's regexp).
            position = begin + 1
            continue
        pieces += (value[copied:begin], replacement)
        added += len(replacement)
        if added > _MAX_RESULT:
            raise FaultError(Code.TOO_LARGE, f"a substitution makes more than {_MAX_RESULT} characters")
        copied = end
        position = end if end > begin else begin + 1
        if not every:
            break
    return "".join(pieces) + value[copied:]
