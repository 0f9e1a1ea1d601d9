"""What users expect of .dockerignore, and that hostile ones cost nothing."""

from __future__ import annotations

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.patterns.ignore import IgnoreMatcher, read_patterns


def kept(patterns: str, *paths: str) -> list[str]:
    matcher = IgnoreMatcher.parse(patterns)
    return [path for path in paths if not matcher.ignores(path)]


@pytest.mark.parametrize(
    ("patterns", "path", "ignored"),
    [
        ("a", "a", True),
        ("a", "a/b", True),
        ("a", "b/a", False),
        ("/a/", "a/x", True),
        ("a/b", "a", False),
        ("*.o", "x.o", True),
        ("*.o", "d/x.o", False),
        ("**/*.o", "x.o", True),
        ("**/*.o", "d/e/x.o", True),
        ("d/**/x", "d/x", True),
        ("d/**/x", "d/1/2/x", True),
        ("d/**", "d", False),
        ("d/**", "d/x", True),
        ("**/d/**", "a/d/x", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("\\*", "*", True),
        ("\\*", "x", False),
        ("**", "anything/at/all", True),
        ("*\n!keep", "keep/below", False),
        ("*\n!keep/this", "keep/this/one", False),
        ("*\n!keep/this", "keep/other", True),
        ("d\n!d/k\nd/k/x", "d/k/x", True),
        ("!a", "a", False),
        ("# a\n \n  b  \n./c/../e", "b", True),
        ("# a\n \n  b  \n./c/../e", "e", True),
        ("# a", "# a", False),
        ("\ufeffa", "a", True),
        ("a\r\nb\r\n", "a", True),
        ("a.c", "abc", False),
        ("(a|b)+{1}$", "(a|b)+{1}$", True),
    ],
)
def test_pattern(patterns, path, ignored):
    assert IgnoreMatcher.parse(patterns).ignores(path) is ignored


def test_the_root_is_never_ignored():
    assert kept("**", "", ".") == ["", "."]


def test_directories_that_nothing_can_reopen_are_not_entered():
    matcher = IgnoreMatcher.parse("*\n!src/**/*.c\n!docs/api\n!**/deep/x")
    assert matcher.may_enter("src/lib")
    assert matcher.may_enter("docs")
    matcher = IgnoreMatcher.parse("*\n!src/*.c\n!docs/api")
    assert not matcher.may_enter("node_modules")
    assert not matcher.may_enter("docs/other")
    assert not matcher.may_enter("src/lib")


def test_pattern_that_changed_nothing_for_a_directory_does_not_count_below_it():
    # "a" was not tried on a, which "*" had ignored already; so the exception stands. As in BuildKit's walk.
    matcher = IgnoreMatcher.parse("*\n!a/b\na")
    assert matcher.ignores("a")
    assert matcher.may_enter("a")
    assert not matcher.ignores("a/b")


def test_directory_that_is_not_ignored_is_entered():
    assert IgnoreMatcher.parse("*.o").may_enter("src")


@pytest.mark.parametrize("pattern", ["[", "[a", "a\\", "[]", "!", "[-]", "x" * 5000])
def test_malformed_pattern_is_refused(pattern):
    with pytest.raises(FaultError):
        IgnoreMatcher.parse(pattern)


def test_reading_keeps_order_and_exceptions():
    assert read_patterns("b\n! a/ \n#c\n/d") == ["b", "!a", "d"]


def test_many_directories_are_not_remembered_for_ever():
    matcher = IgnoreMatcher.parse("x\n!y")
    for number in range(10_000):
        assert not matcher.ignores(f"d{number}/f")
    assert len(matcher._verdicts) <= 4096


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("pattern", "long_name_ignored"),
    [
        ("**/" * 60 + "x", False),
        ("*a" * 100 + "b", False),
        ("**/a*/" * 30 + "z", False),
        ("a**" * 40 + "b", False),
        ("?*" * 100, True),
        ("[ab]*" * 60 + "c", False),
    ],
)
def test_pathological_patterns_are_matched_at_once(pattern, long_name_ignored):
    matcher = IgnoreMatcher([pattern])
    assert not matcher.ignores("/".join(["a" * 60] * 60))
    assert matcher.ignores("a" * 4000) == long_name_ignored
    assert matcher.may_enter("/".join(["a"] * 1000))
