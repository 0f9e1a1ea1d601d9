"""Words beyond what the oracles cover: limits, and that only faults come out."""

from __future__ import annotations

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.words.lexer import WordLexer


def test_nesting_under_the_limit_is_expanded():
    assert WordLexer().word("${a:-" * 100 + "x" + "}" * 100, {}) == "x"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "${a:-" * 100_000 + "}" * 100_000,
        "${a#" * 100_000,
        '"${a:-"' * 100_000,
        "$" * 1_000_000,
        "${" * 500_000,
        "'" * 1_000_001,
        '"' * 1_000_001,
        "\\" * 1_000_001,
        "<" * 1_000_000,
        "${a/" * 100_000,
    ],
)
def test_hostile_words_are_refused_or_read_at_once(text):
    assert len(outcome(text)) < 2_000_000


def outcome(text: str) -> str:
    try:
        return WordLexer().word(text, {"a": "x"})
    except FaultError as fault:
        return str(fault)


def test_message_about_a_long_text_is_short():
    assert len(outcome("${" * 500_000)) < 500


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["*a" * 2000 + "b", "?" * 5000 + "b", "*?" * 2000 + "b"])
@pytest.mark.parametrize("operator", ["#", "##", "%", "%%", "/", "//"])
def test_hostile_patterns_are_matched_at_once(operator, pattern):
    end = "/x}" if "/" in operator else "}"
    value = "a" * 20_000  # without a b, which each pattern ends with
    assert WordLexer().word(f"${{v{operator}{pattern}{end}", {"v": value}) == value


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("operator", "left"),
    [("#", "a" * 17_000), ("##", ""), ("%", "a" * 17_000), ("%%", ""), ("/", "x"), ("//", "x")],
)
def test_hostile_patterns_that_fit_are_matched_at_once(operator, left):
    end = "/x}" if "/" in operator else "}"
    assert WordLexer().word(f"${{v{operator}{'a*' * 3000}{end}", {"v": "a" * 20_000}) == left


def test_replacing_cannot_fill_memory():
    with pytest.raises(FaultError, match="more than"):
        WordLexer().word("${v//a/" + "x" * 1000 + "}", {"v": "a" * 1_000_000})


def test_unclosed_quote_says_how_to_write_one():
    with pytest.raises(FaultError) as caught:
        WordLexer().word('a"b', {})
    assert '\\"' in caught.value.hint


def test_matched_and_unmatched_names_are_reported():
    found = WordLexer().expand("$a ${b:-$c} '$d'", {"a": "1"})
    assert (found.matched, found.unmatched) == (frozenset({"a"}), frozenset({"b", "c"}))
