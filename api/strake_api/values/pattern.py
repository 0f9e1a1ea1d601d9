"""Patterns of names in a platform's rules: `*` stands for any characters, `{namespace}` for the build's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NAMESPACE = "{namespace}"


def filled(pattern: str, namespace: str) -> str:
    """Return a pattern with the namespace in it."""
    return pattern.replace(NAMESPACE, namespace)


def matches(patterns: Iterable[str], texts: Sequence[str]) -> bool:
    """Return whether a pattern without fields fits the whole of one of some texts."""
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL)
        for pattern in patterns
        for text in texts
    )
