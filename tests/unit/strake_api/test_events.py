"""Events survive a line of JSON; anything else on the line is not an event."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strake_api.events import (
    Finished,
    ImageSigned,
    LayerPushed,
    OutputLine,
    Planned,
    StepStarted,
    format_event,
    parse_event,
)
from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from tests.fixtures.narrow import instance

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "event",
    [
        Planned(time=NOW, steps=3),
        StepStarted(time=NOW, step=1, line=2, instruction="RUN make", stage="build"),
        OutputLine(time=NOW, step=1, text='tab\t"quoted" \x1b[0m ä'),
        LayerPushed(time=NOW, repository="r/a", digest="sha256:" + "0" * 64, bytes=3),
        ImageSigned(time=NOW, repository="r/a", digest="sha256:" + "0" * 64),
        Finished(time=NOW, result=BuildFailed(reason=FailureReason.TIMED_OUT, message="m")),
    ],
    ids=lambda event: event.type,
)
def test_round_trip(event):
    line = format_event(event)
    assert "\n" not in line
    assert parse_event(line) == event


@pytest.mark.parametrize("line", ["", "Traceback (most recent call last):", "{}", '{"type":"New","time":0}'])
def test_other_lines_are_skipped(line):
    assert parse_event(line) is None


def test_a_later_version_may_say_more():
    line = '{"type":"Planned","time":"2026-01-01T00:00:00Z","steps":3,"more":1}'
    assert instance(parse_event(line), Planned).steps == 3
