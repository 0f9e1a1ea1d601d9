"""Any text at all: it is understood or refused, and printing does not change it."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from strake_builder.frontend import parse
from strake_builder.frontend.printer import to_text
from strake_builder.frontend.reading.arguments import parse_json_strings, split_keyword, split_words
from strake_builder.frontend.reading.durations import parse_duration
from strake_builder.frontend.reading.keywords import split_keywords
from strake_builder.frontend.reading.mounts import parse_mount
from tests.fuzz.invariants import check, meaning
from tests.oracles.texts.generator import Generator
from tests.property.frontend_refusals import attempt

TEXT = st.text(st.one_of(st.sampled_from(" \t\n\\`#<>E\"'$ABC{}[]=,-:"), st.characters()))
LINE = st.text(st.characters(exclude_characters="\n"))


@given(TEXT)
@example("FROM a\nRUN \\")
@example("FROM a\nONBUILD RUN a \\ \\")
@example("\\\n\\\n")
@example('FROM a\nCOPY ["\\ud800", "b"]')
def test_any_text_is_parsed_or_refused(text):
    dockerfile, refused = attempt(parse, text)
    if dockerfile is None:
        assert str(refused)
        return
    assert meaning(parse(to_text(dockerfile))) == meaning(dockerfile)


@given(st.integers(0, 1 << 40))
def test_any_plausible_file_is_carried_out_or_refused(seed):
    check(Generator(seed).dockerfile())


@given(st.lists(LINE.filter(lambda line: not line.startswith("#")), max_size=5))
def test_dockerfile_parse_splits_as_we_do(lines):
    assert split_keywords(lines) == [split_keyword(line) for line in lines]


@given(st.integers(0, 1 << 40))
def test_dockerfile_parse_splits_plausible_lines_as_we_do(seed):
    lines = [
        line for line in Generator(seed).dockerfile().split("\n") if line.strip() and line.lstrip()[0] != "#"
    ]
    assert split_keywords(lines) == [split_keyword(line) for line in lines]


@given(st.text("ab '\"\\`=\t"), st.sampled_from("\\`"))
def test_words_hold_every_character_that_is_no_separator(text, escape):
    words = split_words(text, escape)
    assert all(words)
    kept = "".join(words)
    assert kept.replace(" ", "").replace("\t", "") in (
        text.replace(" ", "").replace("\t", ""),
        text.replace(" ", "").replace("\t", "").removesuffix(escape),
    )


@given(st.lists(st.text(st.characters(exclude_characters="\0"))))
def test_json_that_python_writes_is_read_back(items):
    import json

    found = parse_json_strings(json.dumps(items))
    clean = [
        "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= c <= "\udfff" else c for c in item)
        for item in items
    ]
    assert found == tuple(clean)


@given(TEXT)
def test_small_readers_only_raise_faults(text):
    for read in (parse_duration, parse_json_strings, lambda value: parse_mount(value, lambda part: part)):
        _, fault = attempt(read, text)
        assert fault is None or fault.message
