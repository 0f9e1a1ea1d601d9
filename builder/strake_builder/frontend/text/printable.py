"""Text of a hostile file on its way to a terminal or a status."""

from __future__ import annotations


def printable(text: str) -> str:
    """Replace control characters, direction marks and broken bytes; tabs stay."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
