"""One pattern of .dockerignore or `--exclude`, with the semantics of github.com/moby/patternmatcher.

`*` and `?` match anything but "/", `**` any number of path elements, `[a-z]` and a backslash work as in
Go's filepath.Match. Patterns with two and more `**` are not given to `re`, whose time would grow with
the power of their number; an automaton reads those in linear time.
"""

from __future__ import annotations

import re
from dataclasses import field
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeAlias

from strake_builder.frontend.patterns.glob import read_class
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable


class Wild(Enum):
    """What in a pattern stands for more than one character."""

    STAR = auto()
    """`*`: any run of characters but "/"."""
    DIRECTORIES = auto()
    """`**/`, or `**` before something: any number of whole elements."""
    REST = auto()
    """`**` at the end: everything."""


@dataclass(frozen=True, slots=True)
class One:
    """Exactly one character, as a regular expression."""

    regex: str


Token: TypeAlias = One | Wild
_ANY = One("[^/]")


def tokens(pattern: str) -> list[Token]:
    """Split a cleaned pattern whose syntax is known to be right."""
    found: list[Token] = []
    position = 0
    while position < len(pattern):
        if pattern.startswith("**", position):
            position += 2
            position += pattern.startswith("/", position)
            found.append(Wild.DIRECTORIES if position < len(pattern) else Wild.REST)
            continue
        char = pattern[position]
        position += 1
        match char:
            case "*":
                found.append(Wild.STAR)
            case "?":
                found.append(_ANY)
            case "[":
                regex, position = read_class(pattern, position)
                found.append(One(regex))
            case "\\":
                found.append(One(re.escape(pattern[position])))
                position += 1
            case _:
                found.append(One(re.escape(char)))
    return found


def regex_of(parts: list[Token]) -> str:
    """Return a regular expression that needs no more than quadratic time, given one `**` at most."""
    out: list[str] = []
    chunk: list[str] = []

    def flush() -> None:
        # All stars of an element but the last take as little as will do, for good.
        *early, last = "".join(chunk).split("\0")
        if early:
            first, *middle = early
            out.append(first + "".join(f"(?>[^/]*?{part})" for part in middle) + f"[^/]*{last}")
        else:
            out.append(last)
        chunk.clear()

    for part in parts:
        match part:
            case One("/") | Wild.DIRECTORIES | Wild.REST:
                flush()
                wild = {Wild.DIRECTORIES: "(?:.*/)?", Wild.REST: ".*"}
                out.append(wild[part] if isinstance(part, Wild) else "/")
            case Wild.STAR:
                if chunk[-1:] != ["\0"]:
                    chunk.append("\0")
            case One(regex):
                chunk.append(regex)
    flush()
    return "".join(out)


def needs_automaton(parts: list[Token]) -> bool:
    """Tell whether `re` might take more than quadratic time."""
    return sum(part in (Wild.DIRECTORIES, Wild.REST) for part in parts) > 1


@dataclass(slots=True)
class Automaton:
    """Matches by keeping all states at once, as the bits of a number."""

    advance_by: list[Callable[[str], bool]] = field(default_factory=list)
    stay_by: list[Callable[[str], bool]] = field(default_factory=list)
    skip_one: int = 0
    skip_two: int = 0
    advance: dict[str, int] = field(default_factory=dict)
    stay: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, parts: list[Token]) -> Automaton:
        """Build the automaton of a pattern."""
        made = cls()
        for part in parts:
            match part:
                case One(regex):
                    made._state(re.compile(regex, re.DOTALL).match, _never)
                case Wild.STAR:
                    made.skip_one |= 1 << len(made.advance_by)
                    made._state(_never, lambda char: char != "/")
                case Wild.REST:
                    made.skip_one |= 1 << len(made.advance_by)
                    made._state(_never, lambda char: char != "\n")
                case Wild.DIRECTORIES:
                    # Either nothing, or anything up to and including a slash.
                    made.skip_one |= 1 << len(made.advance_by)
                    made.skip_two |= 1 << len(made.advance_by)
                    made._state(_never, _never)
                    made._state(lambda char: char == "/", lambda char: char != "\n")
        return made

    def _state(self, advance: Callable[[str], object], stay: Callable[[str], object]) -> None:
        self.advance_by.append(lambda char: bool(advance(char)))
        self.stay_by.append(lambda char: bool(stay(char)))

    def matches(self, path: str) -> bool:
        """Tell whether all of a path matches."""
        states = self._closed(1)
        for char in path:
            if char not in self.advance:
                self.advance[char] = sum(1 << i for i, test in enumerate(self.advance_by) if test(char))
                self.stay[char] = sum(1 << i for i, test in enumerate(self.stay_by) if test(char))
            states = self._closed((states & self.advance[char]) << 1 | states & self.stay[char])
            if not states:
                return False
        return bool(states >> len(self.advance_by) & 1)

    def _closed(self, states: int) -> int:
        while True:
            more = states | (states & self.skip_one) << 1 | (states & self.skip_two) << 2
            if more == states:
                return states
            states = more


def _never(_char: str) -> bool:
    return False
