"""When steps ran, from the lines of a log."""

from __future__ import annotations

from strake_kubectl.ui.logs import MOST_LINES, Collected
from strake_kubectl.ui.pages import bars
from strake_kubectl.ui.timeline import Timeline


def timeline(*lines: str) -> Timeline:
    found = Timeline()
    for line in lines:
        found.add(line)
    return found


def test_steps_at_the_same_time_overlap():
    found = timeline(
        "#1/3 [a] RUN one", "#2/3 [b] RUN two", "#2 done in 2.0 s", "#1 done in 5.0 s", "#3/3 [a] RUN three"
    )
    assert [(step.start, step.seconds) for step in found.steps] == [(0, 5), (0, 2), (5, None)]
    assert found.seconds == 5


def test_a_step_forges_no_other():
    found = timeline("#1/2 [a] RUN evil", "#1 | #2/2 [a] RUN fine", "#1 | #1 done in 9.0 s")
    assert [(step.instruction, step.seconds) for step in found.steps] == [("RUN evil", None)]


def test_another_part_begins_anew():
    found = timeline("#1/1 [a] RUN one", "#1 done in 2.0 s", "==> linux/arm64 <==", "#1/1 [a] RUN one")
    assert [(step.start, step.state) for step in found.steps] == [(0, "open")]


def test_bars_stay_inside_the_drawing():
    found = timeline("#1/2 [a] RUN one", "#1 done in 0.0 s", "#2/2 [a] RUN two", "#2 done in 99999999.0 s")
    assert all(start >= 0 and start + width <= 1000 for _, start, width in bars(found.steps, found.seconds))


def test_of_a_long_log_the_end_is_kept():
    log = Collected()
    log.write("first\n" + "more\n" * MOST_LINES + "x" * 100_000)
    view = log.view()
    assert len(view.lines) == MOST_LINES
    assert "first" not in {text for _, text in view.lines}
    assert max(len(text) for _, text in view.lines) <= 16 * 1024
