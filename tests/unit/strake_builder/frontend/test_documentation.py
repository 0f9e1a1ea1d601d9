"""The pages on Dockerfiles and lint say what the code does."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from strake_builder.frontend import DockerfileRefusedError, parse
from strake_builder.frontend.errors import Code
from strake_builder.frontend.lint import RULES, as_text, lint
from strake_builder.frontend.reading import step_parser
from strake_builder.frontend.reading.arguments import KEYWORDS
from tests.oracles.disagreements import DIFFERENT_FILES, DIFFERENT_PATTERNS, DIFFERENT_WORDS

ROOT = Path(__file__).parents[4]
DOCKERFILE = (ROOT / "docs/dockerfile.md").read_text(encoding="utf-8")
LINT = (ROOT / "docs/lint.md").read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    return page.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_code_is_explained():
    assert set(re.findall(r"`([a-z-]+)`", section(DOCKERFILE, "Codes of mistakes"))) == {
        str(code) for code in Code
    }


def test_every_instruction_and_flag_is_named():
    table = section(DOCKERFILE, "Instructions and flags")
    assert {word.lower() for word in re.findall(r"`([A-Z]+)`", table)} >= KEYWORDS
    for flags in (step_parser._RUN_FLAGS, step_parser._COPY_FLAGS, step_parser._ADD_FLAGS):
        assert all(f"--{flag}" in table for flag in flags)


def test_every_rule_is_listed():
    assert set(re.findall(r"^\| `(\w+)` \|", section(LINT, "Rules"), re.MULTILINE)) == RULES.keys()


def test_the_message_shown_is_the_one_given():
    with pytest.raises(DockerfileRefusedError) as caught:
        parse("FROM a\n\n\nRUN --mont=type=cache,target=/root/.cache make\n")
    assert str(caught.value) in DOCKERFILE


def test_the_warning_shown_is_the_one_given():
    warnings = lint(parse("FROM a\n" + "\n" * 5 + "CMD server --port 8080\n"))
    assert as_text(warnings).strip() in LINT


def test_switches_shown_are_understood():
    for example in re.findall(r"`(# check=[^`]+)`", section(LINT, "Switches")):
        assert parse(f"{example}\nFROM a\n").directives


def test_every_disagreement_tested_is_documented():
    rows = section(DOCKERFILE, "Where Strake differs from BuildKit").count("\n| ") - 2
    assert rows >= len(DIFFERENT_FILES) + len(DIFFERENT_WORDS)
    assert all("\\d" in DOCKERFILE or "[*]" in DOCKERFILE for _ in DIFFERENT_PATTERNS)


def test_the_example_of_the_library_prints_what_it_says(capsys):
    text = section(DOCKERFILE, "As a library")
    example = text.split("```python\n")[1].split("```")[0]
    exec(compile(example, "docs/dockerfile.md", "exec"), {})
    assert capsys.readouterr().out == text.split("```text\n")[1].split("```")[0]


@pytest.mark.parametrize(
    ("what", "constant"),
    [
        ("instructions of a file", "parse._MAX_INSTRUCTIONS"),
        ("stages of a file", "parse._MAX_STAGES"),
        ("instructions of a stage, triggers included", "evaluate._MAX_INSTRUCTIONS"),
        ("heredocs of an instruction", "reading.logical_lines._MAX_HEREDOCS"),
        ("ONBUILD triggers of a base", "planning.onbuild._MAX_TRIGGERS"),
        ("nested substitutions", "words.word_scan.MAX_DEPTH"),
        ("growth of a text by expansion", "words.word_scan.MAX_GROWTH"),
        ("a pattern in a substitution", "words.glob_trim._MAX_PATTERN"),
        ("ports that a stage exposes", "evaluation.metadata._MAX_PORTS"),
        ("variables, labels, volumes of a stage", "evaluation.state._MAX_THINGS"),
        ("an ignore pattern", "patterns.ignore._MAX_PATTERN"),
    ],
)
def test_limits_are_those_of_the_code(what, constant):
    module, _, name = constant.rpartition(".")
    value = getattr(importlib.import_module(f"strake_builder.frontend.{module}"), name)
    assert f"| {what} | {value:,}" in section(DOCKERFILE, "Limits")
