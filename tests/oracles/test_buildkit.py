"""Strake against BuildKit's own packages. Every disagreement is fixed, or listed with its reason."""

from __future__ import annotations

import itertools
import random

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.model.chmod import apply_mode
from strake_builder.frontend.patterns import glob
from strake_builder.frontend.patterns.ignore import IgnoreMatcher, read_patterns
from strake_builder.frontend.words.lexer import WordLexer
from tests.oracles.comparison import compare, run_ours
from tests.oracles.disagreements import DIFFERENT_FILES, DIFFERENT_PATTERNS, DIFFERENT_WORDS
from tests.oracles.texts.corpus import CORPUS, EPOCHS
from tests.oracles.texts.drawn_texts import ignore_patterns, modes, paths, substitutions
from tests.oracles.texts.generator import dockerfiles

TARGETS = (
    "",
    *(
        f"target={path}"
        for path in (
            "",
            "t",
            "/t",
            "a/b",
            "./t",
            "../t",
            "/",
            ".",
            "..",
            "$A",
            "a//b/",
            "t/",
            "/a/../b",
            " t",
        )
    ),
)
NAMES = ("", "id=i", "id=a/b", "source=s", "from=plain,source=../s")
VARIABLES = {"A": "xaxbx", "B": "", "a": "a/b c*d?", "x": "\\x\n?y"}


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_written_file_is_read_alike(buildkit, name):
    assert compare(buildkit, CORPUS[name]) == []


@pytest.mark.parametrize(
    "arguments", [{}, {"A": "xaxb", "TARGETARCH": "odd", "HTTP_PROXY": "http://p"}], ids=["bare", "arguments"]
)
def test_written_files_are_read_alike_with_arguments_and_targets(buildkit, arguments):
    for text in CORPUS.values():
        for target in ("", "p", "a"):
            assert compare(buildkit, text, build_args=arguments, target=target) == []


@pytest.mark.parametrize("given", ["", "5", "context", "src", "nothing"])
def test_the_time_of_the_image_is_the_same_by_argument(buildkit, given):
    for text in EPOCHS.values():
        assert compare(buildkit, text, build_args={"SOURCE_DATE_EPOCH": given}) == [], text


@pytest.mark.parametrize("first", range(0, 4000, 500))
def test_generated_files_are_read_alike(buildkit, first):
    understood = 0
    for number, text in enumerate(dockerfiles(500, first)):
        arguments = {"A": "xaxb"} if number % 2 else {}
        assert compare(buildkit, text, build_args=arguments) == [], text
        understood += isinstance(run_ours(text, arguments, ""), dict)
    assert understood > 100, "the generator makes too few sound files to mean anything"


@pytest.mark.parametrize("kind", ["bind", "cache", "tmpfs", "secret", "ssh"])
def test_targets_of_mounts_are_read_alike(buildkit, kind):
    for target, more, directory in itertools.product(TARGETS, NAMES, ("/", "/w", "w/x")):
        options = ",".join(filter(None, (f"type={kind}", target, more)))
        text = f"FROM base\nWORKDIR {directory}\nRUN --mount={options} a\n"
        assert compare(buildkit, text) == [], text


@pytest.mark.parametrize("reason", sorted(DIFFERENT_FILES))
def test_listed_disagreement_still_exists(buildkit, reason):
    assert compare(buildkit, DIFFERENT_FILES[reason]), "remove it from the list"


@pytest.mark.parametrize("reason", sorted(DIFFERENT_WORDS))
def test_listed_disagreement_about_words_still_exists(buildkit, reason):
    text = DIFFERENT_WORDS[reason]
    theirs = buildkit.ask("word", text=text, env=VARIABLES)["ok"]["text"]
    assert WordLexer().word(text, VARIABLES) != theirs


@pytest.mark.parametrize("reason", sorted(DIFFERENT_PATTERNS))
def test_listed_disagreement_about_patterns_still_exists(buildkit, reason):
    patterns, path = DIFFERENT_PATTERNS[reason]
    assert buildkit.ask("ignore", patterns=patterns, paths=[path]).get("ok") != [
        IgnoreMatcher(patterns).ignores(path)
    ]


@pytest.mark.parametrize("escape", ["\\", "`"])
@pytest.mark.parametrize("raw", [False, True], ids=["plain", "raw"])
def test_words_are_expanded_alike(buildkit, escape, raw):
    lexer = WordLexer(escape, raw_quotes=raw, raw_escapes=raw, keep_unset=raw)
    understood = 0
    for text in substitutions(4000, seed=7 + raw):
        theirs = buildkit.ask("word", text=text, escape=escape, env=VARIABLES, raw=raw).get("ok")
        try:
            found = lexer.expand(text, VARIABLES)
        except FaultError:
            assert theirs is None, text
            continue
        understood += 1
        assert theirs is not None, text
        assert found.text == theirs["text"], text
        assert found.matched == set(theirs["matched"] or ()), text
        assert found.unmatched == set(theirs["unmatched"] or ()), text
        if "${" not in text:  # see DIFFERENT_FILES on EXPOSE
            assert list(found.words) == (theirs["words"] or []), text
    assert understood > 1000


def test_ignore_files_are_read_alike(buildkit):
    for patterns in ignore_patterns(2000, seed=3):
        text = "\n".join(patterns)
        assert read_patterns(text) == (buildkit.ask("ignorefile", text=text)["ok"] or [])


def test_paths_are_ignored_alike(buildkit):
    draw = random.Random(5)
    for patterns in ignore_patterns(3000, seed=4):
        wanted = paths(6, draw)
        theirs = buildkit.ask("ignore", patterns=patterns, paths=wanted).get("ok")
        try:
            matcher = IgnoreMatcher(patterns)
        except FaultError:
            assert theirs is None or any(_found_late(pattern) for pattern in patterns), patterns
            continue
        assert [matcher.ignores(path) for path in wanted] == theirs, (patterns, wanted)
        for path in wanted:
            if not matcher.ignores(path):
                parents = [path[:i] for i, char in enumerate(path) if char == "/"]
                assert all(matcher.may_enter(parent) for parent in parents), (patterns, path)


def _found_late(pattern: str) -> bool:
    """Go finds what is malformed behind a star only when a name gets it there; Strake always does."""
    return "*" in pattern


def test_wildcards_match_alike(buildkit):
    draw = random.Random(6)
    for patterns in ignore_patterns(3000, seed=6):
        pattern = patterns[0].replace("/", "")
        names = [path.replace("/", "") for path in paths(5, draw)]
        theirs = buildkit.ask("glob", text=pattern, paths=names).get("ok")
        try:
            ours = [glob.element_matches(pattern, name) for name in names]
        except FaultError:
            assert theirs is None or _found_late(pattern), pattern
            continue
        assert ours == theirs, (pattern, names)


def test_modes_are_applied_alike(buildkit):
    for text, mode, is_directory in modes(4000, seed=8):
        theirs = buildkit.ask("mode", text=text, mode=mode, is_dir=is_directory).get("ok")
        try:
            ours = f"{apply_mode(mode, text, is_directory=is_directory):o}"
        except FaultError:
            ours = None
        assert ours == theirs, (text, mode, is_directory)
