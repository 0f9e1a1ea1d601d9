"""Regular expressions of policies: as RE2 and Python read them, in a time that nobody can make long."""

from __future__ import annotations

import itertools
import re

import pytest

from strake_api.models.regexp import RegularExpression

WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
EXPRESSIONS = [
    "",
    "a",
    "^a$",
    "^a|b$",
    "a|",
    "(a|b)*",
    "(?:ab)+",
    "(a*)*b",
    "(a|ab)(c|bcd)?",
    "a{2}",
    "a{1,}",
    "a{0,2}b",
    "a+?",
    "[ab]",
    "[^ab]",
    "[a-c.]",
    "[-a]",
    "[a-]",
    "[\\w.-]+",
    "\\.",
    "\\d+",
    "\\D",
    "\\S\\s?",
    "((a)|(b|(c)))",
    "a^b",
    "$a",
    "(^a)?b",
    ".",
    ".*",
]


@pytest.mark.parametrize("pattern", EXPRESSIONS)
def test_as_python_reads_them(pattern):
    expected = re.compile(pattern, re.ASCII)
    ours = RegularExpression(pattern)
    letters = "abcd.1- \n"
    for length in range(4):
        for characters in itertools.product(letters, repeat=length):
            text = "".join(characters)
            assert ours.matches(text) is (expected.fullmatch(text) is not None), text


def test_the_whole_text_must_fit():
    inside = RegularExpression("https://github.com/acme/")
    assert not inside.matches(WORKFLOW)
    assert not inside.matches(f"x{WORKFLOW}")
    assert RegularExpression(r"^https://github\.com/acme/[^/]+/\.github/.+@refs/tags/v\d+$").matches(WORKFLOW)
    assert not RegularExpression(".*").matches("a\nb")
    assert RegularExpression("é+").matches("éé")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){15}$", "(a?){80}a{10}", "(((a*)*)*)*$"])
def test_none_takes_long(pattern):
    """With Python's engine each of them outlasts the build."""
    assert not RegularExpression(pattern).matches("a" * 1023 + "b")


def test_a_text_that_is_too_long_does_not_fit():
    assert RegularExpression("a*").matches("a" * 1024)
    assert not RegularExpression("a*").matches("a" * 1025)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "not closed"),
        ("a)", "not opened"),
        ("*", "repeats nothing"),
        ("a**", "is repeated"),
        ("^*", "edge"),
        ("a{", "begins no count"),
        ("a{x}", "begins no count"),
        ("a{2,1}", "not less than the first"),
        ("a{101}", "100 at most"),
        ("(a{100}){100}", "too large together"),
        ("((){100}){100}", "too large together"),
        ("(" * 21 + ")" * 21, "20 groups"),
        ("[", "ends too early"),
        ("[a", "ends too early"),
        ("[]", r"write \\\["),
        ("[b-a]", "ends before it begins"),
        ("[[:alpha:]]", r"write \\\["),
        ("(?i)a", "flags"),
        ("(?P<n>a)", "names of groups"),
        ("(?=a)", "conditions"),
        ("\\", "ends too early"),
        (r"\b", "not known"),
        (r"\pL", "not known"),
        (r"(a)\1", "not known"),
        (r"\é", "not known"),
        ("a" * 257, "may have 256"),
    ],
)
def test_what_is_refused(pattern, why):
    with pytest.raises(ValueError, match=why):
        RegularExpression(pattern)
