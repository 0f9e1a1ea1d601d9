"""Regular expressions of a platform's rules, matched against what strangers wrote: subjects of certificates.

Python's own engine goes back and tries again: one expression in a policy, and one text made for it, would
keep a builder busy for years. This one follows all ways at once (Thompson, "Regular Expression Search
Algorithm", 1968), so its time grows with the length of the text times that of the expression. It reads what
RE2 and Python read alike, and refuses the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias, assert_never

MAX_PATTERN: Final = 256
"""Characters of an expression."""
MAX_TEXT: Final = 1024
"""Characters of a text; a longer one never matches."""
_MAX_WORK: Final = 1000
"""Pieces of an expression, each as often as it is repeated."""
_MAX_REPEAT: Final = 100
"""Also RE2 has a limit, of 1,000."""
_MAX_DEPTH: Final = 20
_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")
_DIGITS: Final = (("0", "9"),)
_WORD: Final = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_SPACE: Final = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE}

Ranges: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Characters:
    ranges: Ranges
    is_negated: bool = False

    def has(self, character: str) -> bool:
        return any(low <= character <= high for low, high in self.ranges) is not self.is_negated


@dataclass(frozen=True, slots=True)
class _Edge:
    is_end: bool


@dataclass(frozen=True, slots=True)
class _Repeated:
    piece: _Node
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class _Either:
    """One of some sequences."""

    ways: tuple[tuple[_Node, ...], ...]


_Node: TypeAlias = _Characters | _Edge | _Repeated | _Either


@dataclass(slots=True)
class _State:
    """Waits for a character or an edge of the text, or leads on at once. `then` are numbers of states."""

    then: list[int] = field(default_factory=list)
    wants: _Characters | _Edge | None = None


class RegularExpression:
    """An expression that must match a whole text.

    Args:
        pattern: in the syntax of RE2, without flags, names of groups, word boundaries and Unicode classes.

    Raises:
        ValueError: it is none, uses what is not known here, or is too large.
    """

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise ValueError(f"it has {len(pattern)} characters, and may have {MAX_PATTERN}")
        machine = _Machine()
        self._start = machine.begin(_Parser(pattern).whole(), 0)
        self._states = machine.states

    def matches(self, text: str) -> bool:
        """Tell whether the whole of a text fits. A text of more than 1,024 characters does not."""
        if len(text) > MAX_TEXT:
            return False
        states = self._reached([self._start], 0, len(text))
        for position, character in enumerate(text, 1):
            after = [
                number
                for state in map(self._states.__getitem__, states)
                if isinstance(state.wants, _Characters) and state.wants.has(character)
                for number in state.then
            ]
            states = self._reached(after, position, len(text))
            if not states:
                return False
        return 0 in states

    def _reached(self, numbers: list[int], position: int, length: int) -> set[int]:
        """Return the states that are reached from some without a character."""
        todo, seen = list(numbers), set[int]()
        while todo:
            number = todo.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            match state.wants:
                case None:
                    todo += state.then
                case _Edge(is_end) if position == (length if is_end else 0):
                    todo += state.then
                case _:
                    pass
        return seen


class _Machine:
    """Makes states; each knows what comes after it, so that an expression is made from its end on."""

    def __init__(self) -> None:
        self.states = [_State()]
        self._work = 0

    def begin(self, node: _Node, end: int) -> int:
        """Return the state that an expression begins with, of which `end` is what comes after it."""
        self._work += 1
        if self._work > _MAX_WORK:
            raise ValueError("its repetitions are too large together")
        match node:
            case _Characters() | _Edge():
                return self._new(node, end)
            case _Either(ways):
                starts = [self._sequence(each, end) for each in ways]
                return starts[0] if len(starts) == 1 else self._new(None, *starts)
            case _Repeated():
                return self._repeated(node, end)
            case _:
                assert_never(node)

    def _sequence(self, nodes: tuple[_Node, ...], end: int) -> int:
        for node in reversed(nodes):
            end = self.begin(node, end)
        return end

    def _repeated(self, node: _Repeated, end: int) -> int:
        if node.most is None:
            loop = self._new(None, end)
            self.states[loop].then.append(self.begin(node.piece, loop))
            end = loop
        else:
            for _ in range(node.most - node.least):
                end = self._new(None, end, self.begin(node.piece, end))
        for _ in range(node.least):
            end = self.begin(node.piece, end)
        return end

    def _new(self, wants: _Characters | _Edge | None, *then: int) -> int:
        self.states.append(_State(list(then), wants))
        return len(self.states) - 1


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def whole(self) -> _Node:
        found = self._either(0)
        if self._peek():
            raise ValueError("a parenthesis is closed that was not opened: write \\) for the character")
        return found

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        found = self._peek()
        if not found:
            raise ValueError("it ends too early")
        self._at += 1
        return found

    def _either(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise ValueError(f"it has more than {_MAX_DEPTH} groups in each other")
        ways = [self._sequence(depth)]
        while self._peek() == "|":
            self._at += 1
            ways.append(self._sequence(depth))
        return _Either(tuple(ways))

    def _sequence(self, depth: int) -> tuple[_Node, ...]:
        found: list[_Node] = []
        while (character := self._peek()) and character not in "|)":
            piece = self._piece(depth)
            least, most = self._repetition()
            if (least, most) != (1, 1) and isinstance(piece, _Edge):
                raise ValueError("an edge of the text is repeated: ^ and $ stand alone")
            found.append(piece if (least, most) == (1, 1) else _Repeated(piece, least, most))
        return tuple(found)

    def _piece(self, depth: int) -> _Node:
        """Read one character, class, group or edge."""
        character = self._take()
        match character:
            case "(":
                return self._group(depth)
            case "[":
                return self._class()
            case ".":
                return _Characters((("\n", "\n"),), is_negated=True)
            case "^" | "$":
                return _Edge(is_end=character == "$")
            case "\\":
                return self._escaped()
            case "*" | "+" | "?" | "{" | "}" | "]":
                raise ValueError(f"{character} repeats nothing: write \\{character} for the character")
            case _:
                return _Characters(((character, character),))

    def _group(self, depth: int) -> _Node:
        if self._peek() == "?":
            if not self._pattern.startswith("?:", self._at):
                raise ValueError("flags, names of groups and conditions are not known: (…) and (?:…) are")
            self._at += 2
        found = self._either(depth + 1)
        if self._peek() != ")":
            raise ValueError("a parenthesis is not closed: write \\( for the character")
        self._at += 1
        return found

    def _repetition(self) -> tuple[int, int | None]:
        """Read how often what was just read is wanted."""
        match self._peek():
            case "*":
                found: tuple[int, int | None] = (0, None)
            case "+":
                found = (1, None)
            case "?":
                found = (0, 1)
            case "{":
                found = self._counted()
            case _:
                return 1, 1
        self._at += 1
        if self._peek() == "?":  # the shortest first: to the whole text that is the same
            self._at += 1
        if self._peek() and self._peek() in "*+?{":
            raise ValueError("a repetition is repeated: put it into a group")
        return found

    def _counted(self) -> tuple[int, int | None]:
        stop = self._pattern.find("}", self._at)
        text = self._pattern[self._at + 1 : max(stop, 0)]
        low, comma, high = text.partition(",")
        if not _is_number(low) or (comma and high and not _is_number(high)):
            raise ValueError("{ begins no count as {2,5}: write \\{ for the character")
        self._at = stop
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if max(least, most or 0) > _MAX_REPEAT or (most is not None and most < least):
            raise ValueError(f"a count is {_MAX_REPEAT} at most, and the second not less than the first")
        return least, most

    def _escaped(self) -> _Characters:
        character = self._take()
        if character.lower() in _CLASSES:
            return _Characters(_CLASSES[character.lower()], is_negated=character.isupper())
        return _Characters(((character, character),)) if _is_literal(character) else _unknown(character)

    def _class(self) -> _Characters:
        is_negated = self._peek() == "^"
        self._at += is_negated
        ranges: list[tuple[str, str]] = []
        while not ranges or self._peek() != "]":
            ranges += self._range()
        self._at += 1
        return _Characters(tuple(ranges), is_negated)

    def _range(self) -> Ranges:
        low = self._member()
        if isinstance(low, tuple):
            return low
        if self._peek() != "-" or self._pattern[self._at + 1 : self._at + 2] in {"]", ""}:
            return ((low, low),)
        self._at += 1
        high = self._member()
        if isinstance(high, tuple) or high < low:
            raise ValueError("a range in [ ] ends before it begins")
        return ((low, high),)

    def _member(self) -> str | Ranges:
        character = self._take()
        if character in {"[", "]"}:
            raise ValueError("write \\[ and \\] for these characters in [ ]")
        if character != "\\":
            return character
        character = self._take()
        if character in _CLASSES:
            return _CLASSES[character]
        if not _is_literal(character):
            _unknown(character)
        return character


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_literal(character: str) -> bool:
    """Tell whether a backslash takes a character its meaning."""
    return character in _SPECIAL or (character.isascii() and not character.isalnum())


def _unknown(character: str) -> _Characters:
    raise ValueError(f"\\{character} is not known here")
