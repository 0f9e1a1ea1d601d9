"""What a terminal would obey is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.events import OutputLine, parse_event
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildWarning, parse_result
from strake_api.text import visible

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
    assert event.text == "\\x1b[2J"
