"""An error as a person reads it in a terminal."""

from __future__ import annotations

from strake_builder.errors import BaseImageError, Location, OutOfMemoryError, RunStepError, StepError
from strake_builder.frontend import DockerfileRefusedError, Problem
from strake_builder.frontend.errors import Code

PLACE = Location("Dockerfile", 7, "COPY missing /\nsecond line")


def test_what_failed_and_what_to_try():
    error = BaseImageError("there is no image r.example/a:1", hint="check the tag")
    assert error.for_terminal() == "error: there is no image r.example/a:1\n  try: check the tag"


def test_where_in_the_dockerfile():
    assert StepError("no such file", location=PLACE).for_terminal() == (
        "\n     7 | COPY missing /\n       | ^^^^\nerror: Dockerfile:7: no such file"
    )


def test_a_command_s_last_twenty_lines_come_first():
    tail = tuple(f"line {number}" for number in range(30))
    shown = RunStepError("ended with 1", exit_code=1, log_tail=tail, location=PLACE).for_terminal()
    lines = shown.splitlines()
    assert lines[:3] == ["", "the end of its output:", "  line 10"]
    assert lines[21:] == [
        "  line 29",
        "",
        "     7 | COPY missing /",
        "       | ^^^^",
        "error: Dockerfile:7: ended with 1",
    ]


def test_a_command_that_printed_nothing():
    assert RunStepError("ended with 1", exit_code=1).for_terminal() == "error: ended with 1"


def test_all_problems_of_a_dockerfile():
    problems = [
        Problem(Code.UNKNOWN_INSTRUCTION, f"no instruction {name}", "", "Dockerfile", line, 1, "", name)
        for line, name in enumerate(("FRM", "RNU"), 1)
    ]
    shown = DockerfileRefusedError(problems).for_terminal()
    assert shown.startswith("error: the Dockerfile is refused\nDockerfile:1:1: no instruction FRM")
    assert "Dockerfile:2:1: no instruction RNU" in shown


def test_the_end_of_the_output_is_shown_whatever_ended_the_command():
    shown = OutOfMemoryError("killed", exit_code=137, log_tail=("cc1plus …",)).for_terminal()
    assert shown.splitlines() == ["", "the end of its output:", "  cc1plus …", "error: killed"]
