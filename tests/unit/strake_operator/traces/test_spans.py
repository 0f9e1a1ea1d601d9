"""The spans of a run: from what its log and its history tell, bounded whatever a log says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from strake_api.logs.lines import parse_log_line
from strake_api.status import Phase, Run
from strake_operator.traces.spans import LONGEST, Traced, spans
from strake_operator.traces.timeline import MOST_PHASES, MOST_STEPS, Timeline

START = datetime(2026, 5, 1, 10, 0, 5, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def traced(phase=Phase.SUCCEEDED, **changes):
    run = {
        "number": 3,
        "generation": 1,
        "phase": phase,
        "reason": "Pushed" if phase is Phase.SUCCEEDED else "RunStepFailed",
        "start_time": "2026-05-01T10:00:05Z",
        "completion_time": "2026-05-01T10:00:15Z",
    }
    return Traced("team", "app", "uid", Run(**(run | changes)), at(-5))


def timeline(*lines):
    made = Timeline()
    for seconds, text in lines:
        made.line(at(seconds))
        if (event := parse_log_line(at(seconds), text)) is not None:
            made.event(event)
    return made


LINES = (
    (2, "strake 0.1.0"),
    (2.5, "== fetching the source"),
    (3, "== building"),
    (3, "#1/2 [build] RUN make"),
    (4, "#2/2 [build] COPY a b  CACHED"),
    (6.5, "#1 done in 3.5 s"),
    (7, "== pushing"),
)


def outline(found):
    names = {each.id: each.name for each in found}
    return [
        (
            each.name,
            names.get(each.parent),
            (each.began - START).total_seconds(),
            (each.ended - START).total_seconds(),
        )
        for each in found
    ]


def test_a_run_is_one_tree_from_its_queue_to_its_push():
    found = spans(traced(), timeline(*LINES))
    assert outline(found) == [
        ("run", None, -5, 10),
        ("queued", "run", -5, 0),
        ("starting", "run", 0, 2),
        ("running", "run", 2, 10),
        ("phase FetchingSource", "running", 2.5, 3),
        ("phase Building", "running", 3, 7),
        ("phase Pushing", "running", 7, 10),
        ("step RUN", "running", 3, 6.5),
        ("step COPY", "running", 4, 4),
    ]
    assert len({each.trace for each in found}) == 1
    assert len({each.id for each in found}) == len(found)
    assert found[-1].attributes["strake.step.cached"] is True
    assert found[-2].attributes["strake.step.instruction"] == "RUN make"
    assert [each.failed for each in found] == [None] * len(found)


def test_the_same_run_has_the_same_ids_and_another_has_others():
    one, again = spans(traced(), timeline(*LINES)), spans(traced(), timeline(*LINES))
    other = spans(traced(number=4), timeline(*LINES))
    assert one == again
    assert {each.id for each in one}.isdisjoint({each.id for each in other})
    assert one[0].trace != other[0].trace


def test_a_step_that_did_not_end_failed_with_its_run():
    found = spans(traced(Phase.FAILED), timeline((2, "#1/2 [0] RUN make"), (3, "#1 | no")))
    assert [(each.name, each.failed) for each in found if each.failed] == [
        ("run", "RunStepFailed"),
        ("step RUN", "RunStepFailed"),
    ]
    assert outline(found)[-1] == ("step RUN", "running", 2, 10)


def test_a_run_without_a_log_has_what_the_status_tells():
    assert outline(spans(traced(), Timeline())) == [
        ("run", None, -5, 10),
        ("queued", "run", -5, 0),
        ("starting", "run", 0, 10),
    ]


def test_a_run_that_never_started_was_queued_only():
    found = spans(traced(Phase.FAILED, start_time=None), Timeline())
    assert outline(found) == [("run", None, -5, 10), ("queued", "run", -5, 10)]


def test_no_span_ends_before_it_begins_whatever_clocks_and_people_wrote():
    lines = [(20, "== building"), (-30, "#1/1 [0] RUN a"), (-60, "#1 done in 1.0 s"), (-90, "== pushing")]
    for changes in (
        {},
        {"start_time": "2027-01-01T00:00:00Z"},
        {"start_time": "soon", "completion_time": ""},
    ):
        found = spans(traced(**changes), timeline(*lines))
        assert found
        for each in found:
            assert found[0].began <= each.began <= each.ended <= found[0].ended, (changes, each)


def test_a_log_without_end_makes_a_bounded_trace():
    many = [
        (n / 1000, f"#{n}/9 [{'s' * 5000}] {'X' * 5000} y" if n % 2 else "== building") for n in range(9000)
    ]
    made = timeline(*many)
    found = spans(traced(), made)
    assert len(found) == 4 + MOST_PHASES + MOST_STEPS
    assert made.left_out == 4500 - MOST_STEPS
    assert all(len(value) <= LONGEST for each in found for value in map(str, each.attributes.values()))
    assert all(len(each.name) <= LONGEST for each in found)


def test_a_name_is_of_a_closed_list_of_words():
    found = spans(traced(), timeline((1, "#1/1 [0] <script> RUN"), (1, "#2/2 [0] ")))
    assert [each.name for each in found if each.name.startswith("step")] == ["step"] * 2


def of_part(part, shift):
    made = timeline(*((seconds + shift, text) for seconds, text in LINES))
    made.part = part
    return made


def test_each_part_of_a_run_of_several_platforms_has_a_branch_of_its_own():
    found = spans(traced(), of_part("linux-amd64", 0), of_part("linux-arm64", 1), Timeline(part="index"))
    running = [each for each in found if each.name == "running"]
    assert [each.attributes["strake.run.part"] for each in running] == ["linux-amd64", "linux-arm64"]
    assert [(each.ended - START).total_seconds() for each in running] == [7, 8]
    assert len({each.id for each in found}) == len(found)
    for each in running:
        children = [child for child in found if child.parent == each.id]
        assert [child.name for child in children if child.name.startswith("step")] == [
            "step RUN",
            "step COPY",
        ]
        assert all(each.began <= child.began <= child.ended <= each.ended for child in children)
    (starting,) = [each for each in found if each.name == "starting"]
    assert starting.ended == running[0].began


def test_a_run_of_one_platform_keeps_the_ids_that_it_had():
    one, again = (spans(traced(), timeline(*LINES)) for _ in range(2))
    assert [each.id for each in one] == [each.id for each in again]
    assert "strake.run.part" not in one[3].attributes
