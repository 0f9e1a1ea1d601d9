"""Expansion: only faults come out, whatever goes in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strake_builder.frontend.evaluation.git_source import parse_git
from strake_builder.frontend.evaluation.paths import clean, destination, workdir
from strake_builder.frontend.evaluation.ports import parse_port
from strake_builder.frontend.evaluation.signals import check_signal
from strake_builder.frontend.model.chmod import apply_mode
from strake_builder.frontend.patterns import glob
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_builder.frontend.words.glob_trim import replace, trim_prefix, trim_suffix
from strake_builder.frontend.words.lexer import WordLexer
from tests.property.frontend_refusals import attempt

WORD = st.text(st.one_of(st.sampled_from("$${{}}:-+?#%/*\\`'\" <ab_1@"), st.characters()))
VALUES = st.dictionaries(st.sampled_from(["a", "b", "a1", "_"]), st.text("ab/*\\\n$ "))
PATTERN = st.text(st.sampled_from("ab*?[]^-\\/!."))


@given(WORD, VALUES, st.sampled_from("\\`"), st.booleans(), st.booleans(), st.booleans())
def test_expansion_only_raises_faults(text, values, escape, raw, quotes, keep):
    lexer = WordLexer(escape, raw_quotes=raw, raw_escapes=raw, quotes=quotes, keep_unset=keep)
    found, fault = attempt(lexer.expand, text, values)
    if found is None:
        assert fault
        assert fault.message
        return
    assert found.matched <= values.keys()
    assert not found.unmatched & values.keys()


@given(st.text(st.characters(exclude_characters="$'\"\\<`")))
def test_text_without_special_characters_stays_as_it_is(text):
    assert WordLexer().word(text, {}) == text


@given(st.text())
def test_a_value_is_taken_as_it_is(value):
    assert WordLexer().word('"$v"', {"v": value}) == value


@given(st.text("ab*"), st.text("ab"))
def test_trimming_takes_from_one_end(pattern, value):
    assert value.endswith(trim_prefix(pattern, value, longest=False))
    assert len(trim_prefix(pattern, value, longest=True)) <= len(trim_prefix(pattern, value, longest=False))
    assert value.startswith(trim_suffix(pattern, value, longest=False))
    assert len(trim_suffix(pattern, value, longest=True)) <= len(trim_suffix(pattern, value, longest=False))


@given(st.text("ab", min_size=1), st.text("abc"), st.text("xy"))
def test_replacing_literals_is_what_python_does(pattern, value, replacement):
    assert replace(pattern, value, replacement, every=True) == value.replace(pattern, replacement)
    assert replace(pattern, value, replacement, every=False) == value.replace(pattern, replacement, 1)


@given(st.text(), st.text())
def test_paths_stay_below_the_root(directory, path):
    for made in (clean(path), destination(directory, path), clean(workdir(directory, path))):
        assert made.startswith("/")
        assert ".." not in made.split("/")


@given(st.one_of(st.text(), st.from_regex(r"(https?|git|ssh)://\S+|\w+@\w+:\S*")))
def test_sources_ports_signals_and_modes_only_raise_faults(text):
    for read in (
        parse_git,
        parse_port,
        check_signal,
        lambda value: apply_mode(0o644, value, is_directory=True),
    ):
        _, fault = attempt(read, text)
        assert fault is None or fault.message


@given(
    st.lists(PATTERN, max_size=4),
    st.lists(st.text("ab.", min_size=1).filter(lambda s: s.strip(".")), min_size=1, max_size=4),
)
def test_what_is_kept_can_be_reached(patterns, elements):
    matcher, _ = attempt(IgnoreMatcher, patterns)
    if matcher is None:
        return
    path = "/".join(elements)
    if not matcher.ignores(path):
        assert all(matcher.may_enter("/".join(elements[:depth])) for depth in range(1, len(elements)))


@given(st.text("ab*?", max_size=6), st.text("ab", max_size=6))
def test_wildcards_are_those_of_the_shell(pattern, name):
    from fnmatch import fnmatchcase

    assert glob.element_matches(pattern, name) == fnmatchcase(name, pattern)
