"""What steps and servers write to a person's terminal through the live view: it is shown, never obeyed.

Each escape succeeds where the view shows texts as they are: the terminal of the tests refuses what it gets.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strake_api.events import (
    ContextProgress,
    Event,
    Finished,
    OutputLine,
    PhaseStarted,
    Planned,
    StepFinished,
    StepStarted,
    Warned,
)
from strake_api.reasons import ProgressReason
from strake_api.result import BuildSucceeded
from strake_builder.progress.live import state
from tests.fixtures.terminal import View

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ESCAPES = {
    "title": "\x1b]0;owned\x07title",
    "cursor": "\x1b[2Aup\x1b[2J\x1b[H",
    "eight bits": "\x9b2Bdown \x90q\x9c",
    "modes": "\x1b[?25l\x1b[?1049h\x1bc",
    "link": "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "answer": "\x1b[6n\x1b[c",
    "invalid": "\udcff\x1b[5B\udcfe",
}
TEXTS = {
    **ESCAPES,
    "bell": "\x07" * 9,
    "markup": "[red]markup[/red] [link=http://x]y[/link] :boom: [/]",
    "returns": "back\x08\x08\rreturn\x00nul \x7f",
    "directions": "\u202eright \u2066left \ud800half",
    "hidden": "\x1b[31mred \x1b[8mhidden",
    "long": "a" * 100_000,
    "colours": "\x1b[31m" * 20_000,
    "combining": "\u0301" * 5_000,
    "wide": "漢" * 5_000,
    "lines": "two\nlines\ttab",
}


@pytest.fixture
def view(monkeypatch):
    return View(monkeypatch)


def events(text: str) -> list[Event]:
    """Return a build whose instruction, output and source are the text."""
    return [
        PhaseStarted(time=NOW, phase=ProgressReason.BUILDING),
        Planned(time=NOW, steps=1),
        ContextProgress(time=NOW, source=text[:200], done=1, total=2),
        StepStarted(time=NOW, step=1, line=1, instruction=f"RUN {text[:200]}", stage=text[:50]),
        OutputLine(time=NOW, step=1, text=text),
        OutputLine(time=NOW, step=1, text="last"),
    ]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_is_obeyed(view, text):
    lines = view.show(*events(text))
    assert len(lines) == 5, "the head, a transfer, the step, and two lines"
    assert lines[-1] == "   | last"
    if text == TEXTS["markup"]:
        assert lines[3] == f"   | {text}"
    assert "hidden" not in text or "8" not in view.terminal.styled
    end = Finished(time=NOW, result=BuildSucceeded())
    lines = view.show(Warned(time=NOW, message=text[:200]), StepFinished(time=NOW, step=1, seconds=1.0), end)
    assert "last" not in "".join(lines)
    assert lines[-1] == "done in 0.0 s"


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
def test_it_is_where_texts_are_shown_as_they_are(view, text, monkeypatch):
    monkeypatch.setattr(state, "one_line", lambda text: text)
    raw = OutputLine.model_construct(time=NOW, step=1, text=text.encode(errors="ignore").decode())
    with pytest.raises(AssertionError, match=r"the sequence|the control character"):
        view.show(*events("x"), raw)
