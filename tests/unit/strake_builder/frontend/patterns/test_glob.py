"""Wildcards in paths."""

from __future__ import annotations

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.patterns.glob import element_matches, has_wildcards, matches, split_wildcards


@pytest.mark.parametrize(
    ("path", "fixed", "pattern"),
    [
        ("/a/b", "/a/b", ""),
        ("/a/*/c", "/a", "*/c"),
        ("/*", "/", "*"),
        ("/a\\*/b?", "/a\\*", "b?"),
        ("/", "/", ""),
    ],
)
def test_split(path, fixed, pattern):
    assert split_wildcards(path) == (fixed, pattern)
    assert has_wildcards(path) is bool(pattern)


def test_match_needs_as_many_elements():
    assert matches("*/b*", "a/bc")
    assert not matches("*", "a/b")
    assert not matches("**", "a/b")


@pytest.mark.parametrize(
    ("pattern", "name"), [("[!a]", "!"), ("[]a]", "a"), ("[a-]", "a"), ("a]", "a]"), ("[z-a]", "z")]
)
def test_classes_are_those_of_go(pattern, name):
    if pattern in ("[]a]", "[a-]"):
        with pytest.raises(FaultError):
            element_matches(pattern, name)
        return
    assert element_matches(pattern, name) is (pattern != "[z-a]")


@pytest.mark.timeout(10)
def test_many_stars_cost_no_more_than_few():
    assert not element_matches("*a" * 50 + "b", "a" * 255)
