"""Makes patterns, paths, modes and words with substitutions at random, the same for the same seed."""

from __future__ import annotations

import random
import re

_PIECES = (
    *(
        "a",
        "b",
        "ab",
        "*",
        "?",
        "**",
        "/",
        "/",
        "a*",
        "*.c",
        "[ab]",
        "[^a]",
        "[a-c]",
        "\\*",
        "\\",
        ".",
        "!",
        "c",
    ),
    *("**/", "/**", "..", " ", "d.c", "{", "(", "+", "-", "x", "#"),
)
_NAMES = ("a", "b", "ab", "c", "d.c", "a.c", "abc", "x", "!a", "*")


def ignore_patterns(count: int, seed: int) -> list[list[str]]:
    """Return lists of patterns for .dockerignore.

    Stars behind a bracket are left out: patternmatcher does not see that they may be inside a class.
    So are backslashes before letters, which it hands to the regular expression (`\\d` is a digit).
    """
    draw = random.Random(seed)
    found: list[list[str]] = []
    while len(found) < count:
        patterns = [
            ("!" if draw.random() < 0.3 else "")
            + "".join(draw.choice(_PIECES) for _ in range(draw.randint(1, 5)))
            for _ in range(draw.randint(1, 5))
        ]
        if draw.random() < 0.3:
            patterns.insert(draw.randint(0, 2), "*")
        text = "\n".join(patterns)
        if not re.search(r"\[.*\*|\\[a-z]", text):
            found.append(patterns)
    return found


def paths(count: int, draw: random.Random) -> list[str]:
    """Return relative paths."""
    return ["/".join(draw.choice(_NAMES) for _ in range(draw.randint(1, 4))) for _ in range(count)]


def modes(count: int, seed: int) -> list[tuple[str, int, bool]]:
    """Return (mode as text, mode before, is a directory)."""
    draw = random.Random(seed)
    return [
        (
            "".join(draw.choice("ugoa+-=rwxXst,+=ur") for _ in range(draw.randint(1, 9))),
            draw.randint(0, 0o7777),
            draw.random() < 0.5,
        )
        for _ in range(count)
    ]


def substitutions(count: int, seed: int) -> list[str]:
    """Return texts with variables, quotes and nested substitutions.

    A dollar sign in a replacement and a backslash at the end of a pattern are left out: see
    `disagreements`.
    """
    draw = random.Random(seed)
    found: list[str] = []
    while len(found) < count:
        text = _text(draw, 3)
        if "\\}" not in text and "\\$" not in text and not ("//" in text and "$" in text.partition("//")[2]):
            found.append(text)
    return found


def _text(draw: random.Random, depth: int) -> str:
    name = draw.choice(("A", "B", "a", "x", "U", "1", "@", "é", ""))
    match draw.randint(0, 5):
        case 0 | 1:
            operator = draw.choice((":-", "-", ":+", "+", ":?", "?", "#", "##", "%", "%%", ":x", "!", ""))
            return f"${{{name}{operator}{_pieces(draw, depth, 4)}}}"
        case 2:
            return f"${{{name}{draw.choice(('/', '//'))}{_pieces(draw, depth, 4)}/{_pieces(draw, depth, 3)}}}"
        case 3:
            return f'"{_pieces(draw, depth, 4)}"'
        case _:
            return _pieces(draw, depth, 5)


def _pieces(draw: random.Random, depth: int, most: int) -> str:
    plain = (
        "a",
        "x",
        "/",
        "*",
        "?",
        "\\*",
        "\\?",
        "\\/",
        " ",
        '"q"',
        "'s'",
        "\\\\",
        "b",
        "$A",
        "${x}",
        "-",
        "'",
        "`",
    )
    return "".join(
        draw.choice(plain) if depth <= 0 or draw.random() < 0.8 else _text(draw, depth - 1)
        for _ in range(draw.randint(0, most))
    )
