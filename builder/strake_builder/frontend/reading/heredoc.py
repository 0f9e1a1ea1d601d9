"""Heredocs: finding the words that announce them, and lifting their bodies out of the file."""

from __future__ import annotations

import re
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.words.lexer import WordLexer
from strake_oci.lazy_dataclass import dataclass

# The escape directive plays no part here: BuildKit reads heredoc words with a backslash.
_LINE: Final = WordLexer(raw_quotes=True, raw_escapes=True, keep_unset=True)
_NAME: Final = WordLexer(keep_unset=True)
_RAW_NAME: Final = WordLexer(raw_quotes=True, keep_unset=True)
_WORD: Final = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]+)\Z")
_LEADING_TABS: Final = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HeredocWord:
    """A word such as `<<EOF` or `3<<-"end"`.

    Attributes:
        name: The delimiter, quotes removed.
        expand: False when part of it was quoted.
        strip_tabs: True for `<<-`.
        fd: The number before `<<`, 0 for none.
    """

    name: str
    expand: bool
    strip_tabs: bool
    fd: int = 0


def parse_heredoc_word(word: str) -> HeredocWord | None:
    """Read one word, None when it announces no heredoc.

    Raises:
        FaultError: The delimiter has a quote that is not closed.
    """
    match = _WORD.match(word)
    if match is None:
        return None
    fd, dash, rest = match.groups()
    names = _NAME.expand(rest, {}).words
    if len(names) != 1:
        return None
    raw = _RAW_NAME.expand(rest, {}).words
    if len(raw) != 1:
        raise FaultError(
            Code.INVALID_HEREDOC, f"heredoc delimiter {rest!r} cannot be understood", needle=rest
        )
    return HeredocWord(
        name=names[0],
        expand=_quotes(names[0]) == _quotes(raw[0]),
        strip_tabs=bool(dash),
        fd=int(fd[-9:]) if fd else 0,
    )


def heredoc_word_or_none(word: str) -> HeredocWord | None:
    """Read one word, None when it announces no heredoc or cannot be understood."""
    try:
        return parse_heredoc_word(word)
    except FaultError:
        return None


def heredoc_words(line: str) -> list[HeredocWord]:
    """Find the heredocs that an instruction announces.

    A line whose quotes are not balanced announces none: it is left to the shell.

    Raises:
        FaultError: A delimiter has a quote that is not closed.
    """
    if "<<" not in line:
        return []
    try:
        words = _LINE.expand(line, {}).words
    except FaultError:
        return []
    return [found for word in words if (found := parse_heredoc_word(word))]


def strip_leading_tabs(body: str) -> str:
    """Return a body without the tabs at the start of its lines (`<<-`)."""
    return _LEADING_TABS.sub("", body)


def _quotes(text: str) -> int:
    return text.count("'") + text.count('"')
