"""The text behind an instruction's keyword, cut into flags and arguments.

Cutting is all that happens here: quotes stay in, variables stay unexpanded.
"""

from __future__ import annotations

import json
import re
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.text.whitespace import ARGUMENT_SPACE, SPACE

KEYWORDS: Final = frozenset(
    (
        *("add", "arg", "cmd", "copy", "entrypoint", "env", "expose", "from", "healthcheck", "label"),
        *("maintainer", "onbuild", "run", "shell", "stopsignal", "user", "volume", "workdir"),
    )
)
_SEPARATOR: Final = re.compile(f"[{ARGUMENT_SPACE}]+")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_WORD_PARTS: Final = {
    escape: re.compile(
        rf"""(?P<space>[{SPACE}]+)
           | (?P<plain>[^{SPACE}'"{re.escape(escape)}]+)
           | (?P<single>'[^']*'?)
           | (?P<double>"[^"{re.escape(escape)}]*(?:{re.escape(escape)}.[^"{re.escape(escape)}]*)*"?)
           | (?P<escaped>{re.escape(escape)}.)
           | (?P<end>{re.escape(escape)})""",
        re.VERBOSE | re.DOTALL,
    )
    for escape in ("\\", "`")
}


def split_keyword(line: str) -> tuple[str, str]:
    """Split an instruction into its keyword and the rest."""
    parts = _SEPARATOR.split(line.strip(SPACE), maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def split_flags(text: str, escape: str) -> tuple[list[str], str]:
    """Split leading `--flag=value` words off; quotes and escapes in them are taken away.

    `--` ends the flags. Source: BuildKit's extractBuilderFlags.
    """
    flags: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position] in SPACE:
            position += 1
        if not text.startswith("--", position):
            return flags, text[position:].strip(SPACE)
        word, quoted, position = _flag_word(text, position, escape)
        if word == "--":
            return flags, text[position:].strip(SPACE)
        if word or quoted:
            flags.append(word)


def _flag_word(text: str, position: int, escape: str) -> tuple[str, bool, int]:
    out: list[str] = []
    quote = ""
    quoted = False
    while position < len(text):
        char = text[position]
        if char == escape:
            position += 1
            if position < len(text):
                out.append(text[position])
        elif quote:
            if char == quote:
                quote = ""
            else:
                out.append(char)
        elif char in SPACE:
            break
        elif char in "'\"":
            quote, quoted = char, True
        else:
            out.append(char)
        position += 1
    return "".join(out), quoted, position


def parse_json_strings(text: str) -> tuple[str, ...] | None:
    """Read a JSON array of strings, None when the text is no JSON array.

    Raises:
        FaultError: It is a JSON array with something else than strings in it.
    """
    text = text.lstrip(SPACE)
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text, parse_int=str.__len__, parse_float=str.__len__, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in values):
        raise FaultError(
            Code.INVALID_JSON,
            "a JSON array here must consist of strings only",
            hint='put every element in double quotes, as in ["program", "8080"]',
            needle="[",
        )
    if any("\0" in value for value in values):
        raise FaultError(Code.INVALID_JSON, "a NUL character cannot be part of an argument", needle="\\u0000")
    # Go's decoder replaces what is no Unicode character.
    return tuple(_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value) for value in values)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def is_exec_form(text: str, escape: str) -> bool:
    """Tell whether the arguments behind a keyword are a JSON array of strings."""
    rest = split_flags(text, escape)[1]
    try:
        return parse_json_strings(rest) is not None
    except FaultError:
        return False


def split_spaces(text: str) -> list[str]:
    """Split at runs of white space; nothing is quoted."""
    return _SEPARATOR.split(text) if text else []


def split_words(text: str, escape: str) -> list[str]:
    """Split at white space outside quotes; quotes and escapes stay in the words.

    Source: BuildKit's parseWords.
    """
    words: list[str] = []
    current: list[str] = []
    for match in _WORD_PARTS[escape].finditer(text):
        kind = match.lastgroup
        if kind == "space":
            if current:
                words.append("".join(current))
                current.clear()
        elif kind == "double" and match.group().endswith(escape) and match.end() == len(text):
            current.append(match.group().removesuffix(escape))
        elif kind != "end":
            current.append(match.group())
    if current:
        words.append("".join(current))
    return words


def split_assignments(text: str, escape: str, keyword: str) -> list[tuple[str, str, bool]]:
    """Read `name=value …` or the old form `name value`: (name, value, is old form).

    Raises:
        FaultError: A word has no "=", a name is empty, or the old form has no value.
    """
    words = split_words(text, escape)
    if not words:
        raise FaultError(
            Code.MISSING_ARGUMENT,
            f"{keyword} requires at least one argument",
            hint=f"write {keyword} name=value",
        )
    if "=" not in words[0]:
        name, *rest = _SEPARATOR.split(text, maxsplit=1)
        if not rest:
            raise FaultError(
                Code.MISSING_ARGUMENT,
                f"{keyword} must have two arguments",
                hint=f"write {keyword} {name}=value",
                needle=name,
            )
        return [(name, rest[0], True)]
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise FaultError(
                Code.INVALID_ASSIGNMENT,
                f"can't find = in {word[:80]!r}; it must be of the form name=value",
                hint="put a value with spaces in double quotes",
                needle=word,
            )
        if not name:
            raise FaultError(Code.INVALID_ASSIGNMENT, f"{keyword} names can not be blank", needle=word)
        pairs.append((name, value, False))
    return pairs
