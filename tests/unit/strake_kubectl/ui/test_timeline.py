"""When steps ran, from the lines of a log."""

from __future__ import annotations

from strake_kubectl.ui.colours import plain
from strake_kubectl.ui.logs import MOST_LINES, Collected
from strake_kubectl.ui.pages import bars
from strake_kubectl.ui.timeline import Section, Timeline


def timeline(*lines: str) -> Timeline:
    found = Timeline()
    for line in lines:
        found.add(line)
    return found


def only(*lines: str) -> Section:
    (section,) = timeline(*lines).sections
    return section


def test_steps_at_the_same_time_overlap():
    found = only(
        "#1/3 [a] RUN one", "#2/3 [b] RUN two", "#2 done in 2.0 s", "#1 done in 5.0 s", "#3/3 [a] RUN three"
    )
    assert [(step.start, step.seconds) for step in found.steps] == [(0, 5), (0, 2), (5, None)]
    assert found.seconds == 5


def test_a_step_forges_no_other():
    found = only("#1/2 [a] RUN evil", "#1 | #2/2 [a] RUN fine", "#1 | #1 done in 9.0 s")
    assert [(step.instruction, step.seconds) for step in found.steps] == [("RUN evil", None)]


PARTS = (
    "==> source <==",
    "== fetching the source",
    "==> linux/amd64 <==",
    "#1/1 [a] RUN one",
    "#1 done in 2.0 s",
    "==> linux/arm64 <==",
    "#1/2 [a] RUN one",
)


def test_each_part_has_steps_and_a_clock_of_its_own():
    found = timeline(*PARTS).sections
    assert [(each.title, each.seconds) for each in found] == [("linux/amd64", 2), ("linux/arm64", 0)]
    assert [(step.start, step.state) for each in found for step in each.steps] == [(0, "done"), (0, "open")]


def test_another_attempt_of_a_part_takes_its_place():
    found = timeline(*PARTS, "==> linux/amd64 <==", "#1/1 [a] RUN again").sections
    assert [(each.title, each.steps[0].instruction) for each in found] == [
        ("linux/arm64", "RUN one"),
        ("linux/amd64", "RUN again"),
    ]


def test_a_step_begins_no_part():
    found = only("#1/1 [a] RUN evil", "#1 | ==> linux/arm64 <==", "==> no title", "#1 done in 1.0 s")
    assert (found.title, found.seconds) == ("", 1)


def test_of_many_parts_a_bounded_number_of_steps_is_kept():
    found = timeline(*(line for number in range(3000) for line in (f"==> {number} <==", "#1/1 [a] RUN one")))
    assert sum(len(each.steps) for each in found.sections) == 2000


def test_bars_stay_inside_the_drawing():
    found = only("#1/2 [a] RUN one", "#1 done in 0.0 s", "#2/2 [a] RUN two", "#2 done in 99999999.0 s")
    assert all(start >= 0 and start + width <= 1000 for _, start, width in bars(found.steps, found.seconds))


def test_of_a_long_log_the_end_is_kept():
    log = Collected()
    log.write("first\n" + "more\n" * MOST_LINES + "x" * 100_000)
    view = log.view()
    assert len(view.lines) == MOST_LINES
    assert "first" not in {plain(pieces) for _, pieces in view.lines}
    assert max(len(plain(pieces)) for _, pieces in view.lines) <= 16 * 1024


def test_a_search_sees_no_colours():
    log = Collected()
    log.write("\x1b[31mpas\x1b[0msed\nfailed\n")
    assert [number for number, _ in log.view(search="Passed").lines] == [1]
    assert log.view(search="31m").lines == ()
