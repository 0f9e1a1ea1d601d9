"""Whatever a build writes to a terminal, nothing in it moves the cursor or sets the title."""

from __future__ import annotations

import json
import re

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake

TITLE = "\x1b]0;owned\x07"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM TINY\nRUN printf '\\033]0;owned\\007 \\033[2J\\233 up\\n' && printf 'good\\rbad\\b\\n' >&2\n",
        "FROM TINY\nRUN printf '\\033]0;owned\\007\\n\\033[2A'; exit 3\n",
        f"FROM TINY\nRUN true # {TITLE} \u202e\n",
        f"FROM TINY\nRUN false # {TITLE} \u202e\n",
        f"FROM TINY AS st\u202eage\nCOPY {TITLE} /x\n",
        f"FROM TINY\nWRONG {TITLE}\n",
        f"FROM TINY\nENV A={TITLE}\nRUN exit $A\n",
        f"FROM TINY\nLABEL x={TITLE}\nCOPY ${{A:?{TITLE}}} /x\n",
        f"FROM registry.invalid/{TITLE}\n",
        f"FROM TINY\nUSER {TITLE}\nRUN true\n",
        f"FROM TINY\nRUN --mount=type=secret,id={TITLE},required=true true\n",
        f'FROM TINY\nWORKDIR "a{TITLE}"\n',
    ],
)
def test_builds_in_text(builder, dockerfile):
    builder.context(dockerfile)
    done = builder.run("--no-push")
    assert done.stderr
    assert not OBEYED.findall(done.stdout + done.stderr)
    assert "Traceback" not in done.stderr


def test_a_file_of_the_context(builder):
    builder.context("FROM TINY\nCOPY . /x/\n", **{f"a{TITLE}": "1", ".dockerignore": f"{TITLE}[\n"})
    done = builder.run("--no-push")
    assert not OBEYED.findall(done.stdout + done.stderr)


@pytest.mark.parametrize("flag", ["--log-format=text", "--log-format=color", "--progress=plain"])
def test_of_what_a_step_prints_colours_alone_are_kept(builder, flag):
    builder.context(
        "FROM TINY\nRUN printf '\\033]0;owned\\007\\033[2A\\033[31mred \\033[8mhidden\\033[6n\\302\\233H\\n'; exit 3\n"
    )
    done = builder.run("--no-push", flag)
    lines = [line for line in done.stderr.splitlines() if "red " in line and "printf" not in line]
    assert lines[0].endswith("| \x1b[31mred hidden\x1b[0m")
    assert lines[1:] == ["  \x1b[31mred hidden\x1b[0m"], "the end of its output, with the error"
    without = re.sub("\x1b\\[[0-9;]*m", "", done.stderr)
    assert not OBEYED.findall(without)


def test_no_color_has_none(builder):
    builder.context("FROM TINY\nRUN printf '\\033[31mred\\n'; exit 3\n")
    done = builder.run("--no-push", "--log-format=color", NO_COLOR="1")
    assert not OBEYED.findall(done.stdout + done.stderr)
    assert "| red" in done.stderr


def test_the_result_has_none_of_them(builder, tmp_path):
    builder.context("FROM TINY\nRUN printf '\\033]0;owned\\007\\033[31mred\\n'; exit 3\n")
    done = builder.run("--no-push", "--log-format", "json")
    finished = json.loads(done.stdout.splitlines()[-1])["result"]
    assert finished["logTail"] == ["red"]
    assert "\\u001b" not in done.stdout


def test_lint(tmp_path):
    file = tmp_path / "Dockerfile"
    for text in (
        f"FROM a as {TITLE}\n",
        f"from a\nWORKDIR x{TITLE}\nMAINTAINER {TITLE}\n",
        f"FROM a\nNO {TITLE}\n",
    ):
        file.write_text(text)
        done = run_strake([STRAKE, "lint", file])
        assert done.stdout + done.stderr
        assert not OBEYED.findall(done.stdout + done.stderr)
