"""Shell words: quotes, escapes and variables, as BuildKit's shell package reads them.

One lexer serves every use, with switches for what a caller wants kept. It never looks at the
environment of this process: variables come from the mapping that the caller passes.

Two limits keep hostile input harmless, and no honest file comes near them: substitutions nest at most
100 deep, and expanding adds at most 1 MiB to a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strake_builder.frontend.words.word_scan import WordScan, split_words
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Expansion:
    """The outcome of expanding a text.

    Attributes:
        text: All of it as one word.
        words: Its words, split at white space outside quotes; empty words vanish.
        matched: Names of variables it uses that are set.
        unmatched: Names of variables it uses that are not.
    """

    text: str
    words: tuple[str, ...]
    matched: frozenset[str]
    unmatched: frozenset[str]


@dataclass(frozen=True, slots=True)
class WordLexer:
    r"""Expands variables and takes quotes away.

    Attributes:
        escape: The escape character, "\" or "`".
        raw_quotes: Keep quotation marks.
        raw_escapes: Keep escape characters.
        quotes: When False, quotation marks are ordinary characters.
        keep_unset: Leave references to variables that are not set as they are.
    """

    escape: str = "\\"
    raw_quotes: bool = False
    raw_escapes: bool = False
    quotes: bool = True
    keep_unset: bool = False

    def expand(self, text: str, variables: Mapping[str, str]) -> Expansion:
        """Expand a text.

        Raises:
            FaultError: A quote or brace is not closed, a substitution is malformed or too deep, or a
                variable that must be set (`${x:?}`) is not.
        """
        if not any(char in text for char in ("$", "'", '"', self.escape, "<")):
            return Expansion(text, tuple(split_words(text)), frozenset(), frozenset())
        scan = WordScan(self, text, variables)
        result, words = scan.until(None, raw_escapes=self.raw_escapes, pattern=False)
        return Expansion(result, tuple(words), frozenset(scan.matched), frozenset(scan.unmatched))

    def word(self, text: str, variables: Mapping[str, str]) -> str:
        """Return `expand(…).text`."""
        return self.expand(text, variables).text
