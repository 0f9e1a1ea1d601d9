"""The last lines of a build: what was made, what was cached, and where the time went."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from strake_api.events import Finished
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded, Durations, Sizes, StepCounts
from strake_builder.progress.style import LogStyle
from strake_builder.progress.summary import summary_lines
from strake_builder.progress.text import TextSink

DIGEST = "sha256:" + "ab" * 32
DONE = BuildSucceeded(
    digest=DIGEST,
    layers=2,
    steps=StepCounts(total=9, run=2, cached=5),
    sizes=Sizes(compressed=79_000_000, pushed=12_000, pulled=0),
    durations=Durations(total=12.34, source=0.04, pull=1.0, build=10.0, push=1.25),
)


def test_an_image():
    assert summary_lines(DONE) == [
        "done in 12.3 s (pull 1.0 s, build 10.0 s, push 1.2 s)",
        "7 steps: 5 from the cache, 2 run",
        "79.0 MB in 2 layers, 12.0 kB pushed, 0 B pulled",
        DIGEST,
    ]


def test_a_name_that_a_registry_has_can_be_inspected():
    pushed = DONE.model_copy(update={"references": ("r.example/app:1", "r.example/app:2")})
    assert summary_lines(pushed)[-2:] == ["next: strake inspect r.example/app:1", DIGEST]


def test_files_alone_have_no_digest():
    files = BuildSucceeded(steps=StepCounts(total=1, run=1), durations=Durations(total=0.5))
    assert summary_lines(files) == ["done in 0.5 s", "1 step: 0 from the cache, 1 run"]


def test_a_failure_has_its_error_in_place_of_it():
    failure = BuildFailed(reason=FailureReason.STEP_FAILED, message="no")
    assert summary_lines(failure) == []


def test_it_is_part_of_plain_text_unless_errors_alone_are_wanted():
    event = Finished(time=datetime(2026, 1, 2, tzinfo=UTC), result=DONE)
    for level, lines in (("info", 4), ("error", 0)):
        stream = io.StringIO()
        TextSink(stream, style=LogStyle(level=level))(event)
        assert len(stream.getvalue().splitlines()) == lines


def test_each_of_its_lines_has_the_time_where_lines_have():
    stream = io.StringIO()
    TextSink(stream, style=LogStyle(times=True))(Finished(time=datetime(2026, 1, 2, tzinfo=UTC), result=DONE))
    assert {each.partition(" ")[0] for each in stream.getvalue().splitlines()} == {"2026-01-02T00:00:00Z"}
