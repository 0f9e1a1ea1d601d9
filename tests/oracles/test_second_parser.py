"""Strake against a Python port of BuildKit's parser, made by other people (e2b-dockerfile-utils).

It says nothing of flags' values, stages or configurations, and keeps no comments.
"""

from __future__ import annotations

import posixpath
import random

import pytest
from e2b_dockerfile_utils import DockerfileSyntaxError, PatternMatcher, ShellLex, parse_dockerfile_ast

from strake_builder.frontend import FaultError
from strake_builder.frontend.patterns.ignore import IgnoreMatcher
from strake_builder.frontend.reading import arguments
from strake_builder.frontend.reading.logical_lines import LineReader
from strake_builder.frontend.text.source import SourceText, split_lines
from strake_builder.frontend.words.lexer import WordLexer
from tests.oracles.texts.corpus import CORPUS
from tests.oracles.texts.drawn_texts import ignore_patterns, paths, substitutions
from tests.oracles.texts.generator import dockerfiles

VARIABLES = {"A": "xaxbx", "B": "", "a": "a/b c*d?", "x": "y"}


def ours(text: str) -> list[tuple]:
    reader = LineReader(SourceText("Dockerfile", tuple(split_lines(text))))
    lines = list(reader)
    found = []
    for line in lines:
        keyword, rest = arguments.split_keyword(line.text)
        flags, _ = arguments.split_flags(rest, reader.directives.escape)
        heredocs = [(d.name, d.body, d.expand, d.strip_tabs, d.fd) for d in line.heredocs]
        found.append((keyword.upper(), line.text, flags, heredocs, line.span.first, line.span.last))
    return found


def theirs(text: str) -> list[tuple] | None:
    try:
        parsed = parse_dockerfile_ast(text)
    except DockerfileSyntaxError:
        return None
    return [
        (
            i.name,
            i.original,
            i.flags,
            [(d.name, d.content, d.expand, d.chomp, d.file_descriptor) for d in i.heredocs],
            i.start_line,
            i.end_line,
        )
        for i in parsed.instructions
    ]


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_written_file_falls_into_the_same_instructions(name):
    answer = theirs(CORPUS[name])
    assert answer is None or ours(CORPUS[name]) == answer


def test_generated_files_fall_into_the_same_instructions():
    compared = 0
    for text in dockerfiles(1000, first=9000):
        answer = theirs(text)
        known = answer is not None and all(name.lower() in arguments.KEYWORDS for name, *_ in answer)
        if known:
            compared += 1
            assert ours(text) == answer
    assert compared > 300


def test_words_are_expanded_alike():
    compared = 0
    for text in substitutions(3000, seed=21):
        try:
            answer = ShellLex("\\", env=VARIABLES, skip_unset_env=False).process_word(text)
        except ValueError:
            continue
        compared += 1
        assert WordLexer().word(text, VARIABLES) == answer, text
    assert compared > 500


def test_paths_are_ignored_alike():
    draw = random.Random(11)
    compared = 0
    for patterns in ignore_patterns(1500, seed=12):
        try:
            matcher = IgnoreMatcher(patterns)
            other = PatternMatcher(patterns)
        except (FaultError, ValueError):
            continue
        # The port lets a pattern count for what is below a directory although BuildKit's walk would
        # not have tried it there, which can only show with exceptions; and it takes "/" off the start
        # of patterns, which BuildKit does when it reads the file.
        cleaned = [posixpath.normpath(pattern.strip() or ".") for pattern in patterns]
        if any(pattern.startswith(("/", "!")) for pattern in cleaned) or "!" in "".join(patterns):
            continue
        compared += 1
        for path in paths(5, draw):
            assert matcher.ignores(path) == other.matches(path), (patterns, path)
    assert compared > 300
