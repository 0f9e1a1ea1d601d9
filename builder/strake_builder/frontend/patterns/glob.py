"""Wildcards in paths of COPY and ADD sources: Go's filepath.Match, one path element at a time."""

from __future__ import annotations

import re
from functools import lru_cache

from strake_builder.frontend.errors import Code, FaultError


def has_wildcards(path: str) -> bool:
    r"""Tell whether a path is a pattern: it holds `*`, `?` or `[` that no backslash escapes."""
    position = 0
    while position < len(path):
        char = path[position]
        if char in "*?[":
            return True
        position += 2 if char == "\\" else 1
    return False


def split_wildcards(path: str) -> tuple[str, str]:
    """Split an absolute path into the directory without wildcards and the pattern below it.

    The pattern is "" when there are no wildcards. A match has as many elements as the pattern.
    """
    elements = path.split("/")
    for number, element in enumerate(elements):
        if has_wildcards(element):
            return "/".join(elements[:number]) or "/", "/".join(elements[number:])
    return path, ""


def matches(pattern: str, path: str) -> bool:
    """Tell whether all of a relative path matches a pattern of as many elements.

    Raises:
        FaultError: The pattern is malformed.
    """
    patterns, names = pattern.split("/"), path.split("/")
    return len(patterns) == len(names) and all(map(element_matches, patterns, names))


def element_matches(pattern: str, name: str) -> bool:
    """Tell whether one path element matches one pattern element.

    Raises:
        FaultError: The pattern is malformed.
    """
    return compile_element(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def compile_element(pattern: str) -> re.Pattern[str]:
    r"""Compile `*`, `?`, `[a-z]`, `[^a-z]` and `\c`.

    Raises:
        FaultError: A class is not closed or empty, or a backslash ends the pattern.
    """
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            # A run of stars is one star; atomic, so that a mismatch does not try every split.
            while pattern.startswith("*", position):
                position += 1
            out.append("*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            text, position = read_class(pattern, position, path_element=True)
            out.append(text)
        elif char == "\\":
            if position == len(pattern):
                raise _bad(pattern)
            out.append(re.escape(pattern[position]))
            position += 1
        else:
            out.append(re.escape(char))
    return re.compile(_join(out), re.DOTALL)


def _join(parts: list[str]) -> str:
    """Make each star but the last match as little as will do, for good: no backtracking."""
    groups: list[list[str]] = [[]]
    for part in parts:
        if part == "*":
            groups.append([])
        else:
            groups[-1].append(part)
    first, *rest = ("".join(group) for group in groups)
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{group})" for group in middle) + f"[^/]*{last}"


def check_pattern(pattern: str) -> None:
    r"""Refuse a pattern that is malformed, as Go's filepath.Match does.

    Raises:
        FaultError: A class is not closed or empty, or a backslash ends the pattern.
    """
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "[":
            position = read_class(pattern, position)[1]
        elif char == "\\":
            if position == len(pattern):
                raise _bad(pattern)
            position += 1


def read_class(pattern: str, position: int, *, path_element: bool = False) -> tuple[str, int]:
    """Read a class behind its "[": a regular expression for it, and the position behind "]".

    Args:
        pattern: The pattern.
        position: Behind the bracket.
        path_element: The text matched holds no "/"; otherwise a negated class matches it.

    Raises:
        FaultError: It is malformed.
    """
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while True:
        if pattern.startswith("]", position) and ranges:
            inside = "".join(ranges)
            nothing = r"[\s\S]" if negated else r"(?!)"
            caret = ("^/" if path_element else "^") if negated else ""
            return f"[{caret}{inside}]" if inside else nothing, position + 1
        low, position = _class_char(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_char(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")


def _class_char(pattern: str, position: int) -> tuple[str, int]:
    char = pattern[position : position + 1]
    if char in ("", "-", "]"):
        raise _bad(pattern)
    if char == "\\":
        position += 1
        char = pattern[position : position + 1]
        if not char:
            raise _bad(pattern)
    return char, position + 1


def _bad(pattern: str) -> FaultError:
    return FaultError(
        Code.INVALID_PATTERN,
        f"syntax error in pattern {pattern[:80]!r}",
        hint="close [ with ], or write \\[ for the character itself",
        needle=pattern,
    )
