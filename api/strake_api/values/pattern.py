"""Patterns of names in a platform's rules: `*` stands for any characters, `{namespace}` for the build's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NAMESPACE = "{namespace}"


def filled(pattern: str, namespace: str) -> str:
    """Return a pattern with the namespace in it."""
    return pattern.replace(NAMESPACE, namespace)


def matches(patterns: Iterable[str], texts: Sequence[str]) -> bool:
    """Return whether a pattern without fields fits the whole of one of some texts."""
    return any(_fits(pattern, text) for pattern in patterns for text in texts)


def _fits(pattern: str, text: str) -> bool:
    """Return whether a pattern fits, in a time that grows with the text alone, which strangers write."""
    begin, *middle = pattern.split("*")
    if not middle:
        return text == pattern
    end = middle.pop()
    at, last = len(begin), len(text) - len(end)
    if at > last or not (text.startswith(begin) and text.endswith(end)):
        return False
    for piece in middle:
        found = text.find(piece, at, last)
        if found < 0:
            return False
        at = found + len(piece)
    return True
