"""What a terminal would obey is shown."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.events import OutputLine, parse_event
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildWarning, parse_result
from strake_api.text import coloured, visible, without_colours

TITLE = "\x1b]0;owned\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, with\ttab\nand line", "plain, with\ttab\nand line"),
        ("Grüße, 世界 🎉 \u00a0 e\u0301", "Grüße, 世界 🎉 \u00a0 e\u0301"),
        (TITLE, "\\x1b]0;owned\\x07"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J\x90\x9d", "\\x9b2J\\x90\\x9d"),
        ("good\rbad\b\b\x7f\x00", "good\\rbad\\x08\\x08\\x7f\\x00"),
        ("\u202etxt.exe\u2066", "\\u202etxt.exe\\u2066"),
        ("a\u2028b\ud800\U000e0041", "a\\u2028b\\ud800\\U000e0041"),
    ],
)
def test_what_is_shown(text, shown):
    assert visible(text) == shown
    assert visible(shown) == shown


@given(st.text())
def test_nothing_that_is_obeyed_is_left(text):
    assert not {unicodedata.category(c) for c in visible(text) if c not in "\n\t"} & {"Cc", "Cs", "Zl", "Zp"}
    visible(text).encode()


def test_documents_for_people_hold_nothing_that_is_obeyed():
    """Whichever side made them: the builder's, and what a step forged in its place."""
    forged = '{"outcome":"Failed","reason":"RunStepFailed","message":"\\u001b]0;x\\u0007","logTail":["\\u001b[2J"]}'
    result = parse_result(forged)
    assert isinstance(result, BuildFailed)
    assert (result.message, result.log_tail) == ("\\x1b]0;x\\x07", ("\\x1b[2J",))
    made = BuildFailed(
        reason=FailureReason.RUN_STEP_FAILED,
        message=TITLE,
        instruction=TITLE,
        log_tail=(TITLE,),
        warnings=(BuildWarning(message=TITLE, file=TITLE),),
    )
    assert "\\u001b" not in made.to_json()
    event = parse_event('{"type":"OutputLine","time":"2026-01-01T00:00:00Z","step":1,"text":"\\u001b[2J"}')
    assert isinstance(event, OutputLine)
    assert event.text == ""


COLOURED = [
    ("plain", "plain"),
    ("\x1b[31mred\x1b[0m and not", "\x1b[31mred\x1b[0m and not"),
    ("\x1b[1;38;2;8;8;8mends with its line", "\x1b[1;38;2;8;8;8mends with its line\x1b[0m"),
    ("\x1b[48;5;8mx\x1b[m", "\x1b[48;5;8mx\x1b[m"),
    ("\x9b32mgreen\x1b[0m", "\x1b[32mgreen\x1b[0m"),
    ("\x1b]0;title\x07after", "after"),
    ("\x1b]0;title\x1b\\after", "after"),
    ("\x1b]0;title without an end", ""),
    ("\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1bP1$qm\x1b\\\x1b_app\x1b\\\x1b^private\x1b\\\x1bXstring\x1b\\left", "left"),
    ("\x9d0;title\x9cafter \x901$q\x9c", "after "),
    ("\x1b[2J\x1b[H\x1b[3A\x1b[1000D\x1b[?1049h\x1b[6n\x1b[c\x1b[5i", ""),
    ("\x1b[>4;2m\x1b[?1m\x1b[1 q\x1b[!p\x1b[3$m", ""),
    ("\x1bc\x1b7\x1b8\x1b(0\x1b#8\x1b%G\x1bM", ""),
    ("\x1b[8mhidden\x1b[28m\x1b[0;08mtwo", "hidden\x1b[28mtwo\x1b[0m"),
    ("cut \x1b", "cut \\x1b"),
    ("cut \x1b[31", "cut 31"),
    ("a\bb\x07\x0e\u202e", "a\\x08b\\x07\\x0e\\u202e"),
]


@pytest.mark.parametrize(("text", "shown"), COLOURED)
def test_of_a_steps_output_colours_stay_and_nothing_else_that_is_obeyed(text, shown):
    assert coloured(text) == shown
    assert coloured(shown) == shown
    assert "\x1b" not in without_colours(shown)


@given(st.text(st.sampled_from("\x1b\x9b\x9d\x07\\[]0123456789;:?mHJ \x08a")))
def test_whatever_a_step_prints(text):
    shown = coloured(text)
    assert without_colours(shown) == visible(without_colours(shown))
    assert coloured(shown) == shown
    colours = "".join(re.findall("\x1b\\[[0-9;:]*m", shown))
    assert shown == "" or not colours or colours.endswith(("\x1b[0m", "\x1b[m"))
