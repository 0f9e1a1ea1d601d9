"""The builder's events, folded."""

from __future__ import annotations

from functools import reduce

import pytest

from strake_api.events import (
    ContextProgress,
    OutputLine,
    PhaseStarted,
    Planned,
    PullProgress,
    PushProgress,
    StepCached,
    StepFinished,
    StepStarted,
)
from strake_api.reasons import ProgressReason
from strake_api.status import Phase
from strake_operator.reconcile.progress import Progress
from tests.unit.strake_operator.builders import NOW


def after(*events) -> Progress:
    return reduce(Progress.after, events, Progress())


def test_steps_are_counted_and_the_running_one_is_named():
    progress = after(
        PhaseStarted(time=NOW, phase=ProgressReason.BUILDING),
        Planned(time=NOW, steps=3),
        StepCached(time=NOW, step=1, line=2, instruction="RUN a"),
        StepStarted(time=NOW, step=2, line=3, instruction="RUN b"),
        StepFinished(time=NOW, step=2, seconds=1),
        StepStarted(time=NOW, step=3, line=4, instruction="RUN c"),
        OutputLine(time=NOW, step=3, text="noise"),
    )
    assert (progress.total, progress.done, progress.cached) == (3, 2, 1)
    assert progress.text == "[3/3] RUN c"
    assert progress.phase is Phase.BUILDING


@pytest.mark.parametrize(("total", "words"), [(50_000_000, "12 of 50 MB"), (None, "12 MB")])
def test_a_download_of_a_context_shows_its_bytes_until_it_is_there(total, words):
    download = {"time": NOW, "source": "s3://bucket/src.tgz"}
    events = [
        PhaseStarted(time=NOW, phase=ProgressReason.FETCHING_SOURCE),
        ContextProgress(**download, done=12_000_000, total=total),
    ]
    assert after(*events).text == f"fetching s3://bucket/src.tgz: {words}"
    assert after(*events).phase is Phase.FETCHING
    end = ContextProgress(**download, done=50_000_000, total=50_000_000)
    assert after(*events, end).text == "fetching the source"


def test_a_pull_shows_its_bytes():
    progress = after(
        PhaseStarted(time=NOW, phase=ProgressReason.PULLING_BASE),
        PullProgress(time=NOW, image="debian:12", done=12_000_000, total=50_000_000),
    )
    assert progress.text == "pulling debian:12: 12 of 50 MB"
    assert progress.phase is Phase.PULLING


def test_a_push_shows_its_bytes_when_the_steps_are_done():
    blob = {"repository": "r.example/app", "digest": "sha256:" + "0" * 64, "total": 50_000_000}
    events = [
        Planned(time=NOW, steps=1),
        StepStarted(time=NOW, step=1, line=2, instruction="RUN make"),
        PushProgress(time=NOW, done=12_000_000, **blob),
    ]
    assert after(*events).text == "[1/1] RUN make"
    events += [
        PhaseStarted(time=NOW, phase=ProgressReason.PUSHING),
        PushProgress(time=NOW, done=25_000_000, **blob),
    ]
    assert after(*events).text == "pushing r.example/app: 25 of 50 MB"


def test_after_a_pull_the_step_that_needed_it_goes_on():
    progress = after(
        Planned(time=NOW, steps=1),
        StepStarted(time=NOW, step=1, line=2, instruction="RUN make"),
        PullProgress(time=NOW, image="debian:12", done=1, total=50),
        PullProgress(time=NOW, image="debian:12", done=50, total=50),
    )
    assert progress.text == "[1/1] RUN make"
