"""Find the name that was meant: the nearest of some, as BuildKit chooses it (edit distance below 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIMIT: Final = 3
_MAX_WORD: Final = 64


def nearest(word: str, names: Iterable[str], *, ignore_case: bool = False) -> str:
    """Return the name nearest to `word`, "" when none is near or one is equal to it."""
    if len(word) > _MAX_WORD:
        return ""
    wanted = word.lower() if ignore_case else word
    best, distance = "", _LIMIT
    for name in names:
        candidate = name.lower() if ignore_case else name
        if candidate == wanted:
            return ""
        if abs(len(candidate) - len(wanted)) < distance:
            found = _distance(wanted, candidate)
            if found < distance:
                best, distance = name, found
    return best


def did_you_mean(word: str, names: Iterable[str], *, ignore_case: bool = False) -> str:
    """Return a hint, "" when no name is near."""
    found = nearest(word, names, ignore_case=ignore_case)
    return f"did you mean {found}?" if found else ""


def _distance(left: str, right: str) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
