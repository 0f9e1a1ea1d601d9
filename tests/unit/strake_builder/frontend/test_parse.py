"""Parsing: what users see when a file is wrong, and that nothing is lost when it is right."""

from __future__ import annotations

import pytest

from strake_builder.errors import DockerfileError
from strake_builder.frontend import DockerfileRefusedError, parse
from strake_builder.frontend.model.syntax import Cmd, Copy, ExecForm, Run, ShellForm
from strake_builder.frontend.text.source import Span


def refused(text: str) -> DockerfileRefusedError:
    with pytest.raises(DockerfileError) as caught:
        parse(text, "build/Dockerfile")
    assert isinstance(caught.value, DockerfileRefusedError)
    return caught.value


def test_every_mistake_of_a_file_is_reported_at_once():
    error = refused("FROM base\nRUNN a\nCOPY x\nRUN --mont=type=cache b\nENV =x\n")
    assert [(p.line, str(p.code)) for p in error.problems] == [
        (2, "unknown-instruction"),
        (3, "missing-argument"),
        (4, "unknown-flag"),
        (5, "invalid-assignment"),
    ]


def test_message_shows_file_line_caret_and_suggestion():
    error = refused("FROM base\nRUN a \\\n  b\n  EXPSE 80\n")
    assert str(error) == (
        "build/Dockerfile:4:3: unknown instruction: EXPSE (did you mean EXPOSE?) [unknown-instruction]\n"
        "    4 |   EXPSE 80\n"
        "      |   ^"
    )
    assert error.location
    assert (error.location.file, error.location.line) == ("build/Dockerfile", 4)


def test_caret_stands_on_the_physical_line_of_a_continued_instruction():
    (problem,) = refused("FROM base\nRUN \\\n  --network=none \\\n  --nope=1 \\\n  x\n").problems
    assert (problem.line, problem.column) == (4, 3)


def test_long_line_is_cut_around_the_mistake():
    (problem,) = refused("FROM base\nRUN " + "--network=none " * 1 + "--bad=1 " + "x" * 5000).problems
    shown = str(problem).splitlines()
    assert len(shown[1]) < 200
    assert shown[1][len(shown[2]) - 1 :].startswith("--bad")


def test_tabs_before_the_mistake_keep_the_caret_in_place():
    (problem,) = refused("FROM base\n\tRUNN\tx\n").problems
    assert str(problem).splitlines()[2].endswith("| \t^")


@pytest.mark.parametrize(
    "text", ["RUNN \x1b[31m", "\x1b]0;title\x07X a", "COPY \x1b[2J", "USER\n\u202eX y", "X \udcff"]
)
def test_control_characters_do_not_reach_the_terminal(text):
    error = refused(f"FROM base\n{text}\n")
    assert all(char.isprintable() or char == "\n" for char in str(error))
    assert error.message.isprintable()


def test_thousands_of_mistakes_make_a_short_message():
    assert len(str(refused("FROM base\n" + "X\n" * 5000)).splitlines()) < 100


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty-file"),
        ("\n \n", "empty-file"),
        ("# only\n", "no-stage"),
        ("ARG a\n", "no-stage"),
        ("RUN a\n", "instruction-before-from"),
        ("# escape=x\nFROM a\n", "invalid-directive"),
        ("# escape=`\n# escape=`\nFROM a\n", "invalid-directive"),
        ("# check=nope=1\nFROM a\n", "invalid-check-option"),
        ("FROM a\nRUN a\0b\n", "invalid-argument"),
        ('FROM a\nRUN ["a\\u0000b"]\n', "invalid-json"),
        ("FROM a b\n", "invalid-argument"),
        ("FROM a AS 1\n", "invalid-stage-name"),
        ("FROM a\nCMD [1]\n", "invalid-json"),
        ("FROM a\nSHELL sh\n", "invalid-argument"),
        ("FROM a\nRUN <<E\n", "unterminated-heredoc"),
        ("FROM a\nCOPY a <<E\nE\n", "invalid-heredoc"),
        ("FROM a\nCOPY --link=x a b\n", "invalid-flag"),
        ("FROM a\nCOPY --from a b\n", "invalid-flag"),
        ("FROM a\nRUN --network=a b\n", "invalid-flag"),
        ("FROM a\nRUN --security=a b\n", "invalid-flag"),
        ("FROM a\nRUN --device=gpu b\n", "unsupported"),
        ("FROM a\nRUN --mount=from=$x,target=/y b\n", "invalid-mount"),
        ("FROM a\nONBUILD ONBUILD RUN x\n", "invalid-trigger"),
        ("FROM a\nONBUILD RUNN x\n", "unknown-instruction"),
        ("FROM a\nHEALTHCHECK --interval=5 CMD x\n", "invalid-flag"),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD x\n", "invalid-flag"),
        ("FROM a\nHEALTHCHECK NONE x\n", "too-many-arguments"),
        ('FROM a\nVOLUME [""]\n', "invalid-argument"),
        ("FROM a\nENV a\n", "missing-argument"),
        ("FROM a\nENV a=b c\n", "invalid-assignment"),
    ],
)
def test_mistake_has_a_code_and_a_position(text, code):
    error = refused(text)
    assert str(error.problems[0].code) == code
    assert error.problems[0].line >= 1
    assert error.problems[0].message


def test_directives_hold_and_are_no_comments():
    dockerfile = parse("# syntax=x/y:1\n# escape=`\n# about b\nFROM a AS b\nRUN c `\n  d\n")
    assert dockerfile.escape == "`"
    assert dockerfile.directive("syntax") == "x/y:1"
    assert dockerfile.stages[0].from_.position.comments == ("about b",)
    assert dockerfile.stages[0].instructions[0].position.text == "RUN c   d"


def test_positions_include_heredoc_bodies():
    dockerfile = parse("FROM a\nRUN <<E\nx\nE\nCMD y\n")
    run, cmd = dockerfile.stages[0].instructions
    assert run.position.span == Span(2, 4)
    assert cmd.position.span == Span(5, 5)
    assert run.position.heredocs[0].body == "x\n"


def test_heredoc_of_a_misspelt_instruction_makes_no_further_mistakes():
    error = refused("FROM a\nRUNN <<E\nnot an instruction\nE\nRUN b\n")
    assert len(error.problems) == 1


def test_json_that_is_none_is_the_shell_form():
    first, second = parse('FROM a\nCMD [ \'a\' ]\nRUN ["a", "b"]\n').stages[0].instructions
    assert isinstance(first, Cmd)
    assert first.form == ShellForm("[ 'a' ]")
    assert isinstance(second, Run)
    assert second.form == ExecForm(("a", "b"))


def test_copy_keeps_order_of_sources_and_heredocs():
    (copy,) = parse("FROM a\nCOPY x <<-A y <<'B' /d/\n\t1\n\tA\n\t2\nB\n").stages[0].instructions
    assert isinstance(copy, Copy)
    assert copy.sources == ("x", "y")
    assert [(doc.name, doc.body, doc.expand) for doc in copy.contents] == [
        ("A", "1\n", True),
        ("B", "\t2\n", False),
    ]


def test_bytes_that_are_no_utf8_survive():
    raw = b"FROM a\nCOPY <<E /x\n\xff\xfe\nE\n"
    (copy,) = parse(raw.decode(errors="surrogateescape")).stages[0].instructions
    assert isinstance(copy, Copy)
    assert copy.contents[0].body.encode(errors="surrogateescape") == b"\xff\xfe\n"


def test_too_many_instructions_are_refused():
    assert str(refused("FROM a\n" + "RUN x\n" * 20_001).problems[0].code) == "too-large"


def test_too_many_heredocs_are_refused():
    assert str(refused("FROM a\nRUN " + "<<E " * 1001 + "\n" + "E\n" * 1001).problems[0].code) == "too-large"
