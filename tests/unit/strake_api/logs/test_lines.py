"""The log of a builder pod: people read it, and the same lines tell a program how far the build is."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from strake_api.events import (
    ContextProgress,
    Finished,
    ImageSigned,
    LayerPushed,
    OutputLine,
    PhaseStarted,
    Planned,
    PullProgress,
    PushProgress,
    StepCached,
    StepFailed,
    StepFinished,
    StepStarted,
    Warned,
)
from strake_api.logs.lines import LINE_BYTES, parse_log_line
from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed, BuildSucceeded
from strake_builder.progress.reporter import Reporter
from strake_builder.progress.text import LogSink

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32

FORGED = (
    "== steps: 9",
    "== pushing",
    "#1/9 [0] RUN nothing",
    "#1/9 [0] RUN nothing  CACHED",
    "#1 done in 0.1 s",
    "   r.example/base: pulled 1.0 MB of 2.0 MB",
    "   r.example/app@sha256:abab…: pushing, 1.0 MB of 2.0 MB",
)


def written(*events) -> list[str]:
    stream = io.StringIO()
    seconds = iter(range(10, 1000, 2))
    sink = LogSink(stream, lambda: float(next(seconds)))
    for event in events:
        sink(event)
    return stream.getvalue().splitlines()


def read(lines):
    return [event for line in lines if (event := parse_log_line(NOW, line)) is not None]


@pytest.mark.parametrize("phase", [ProgressReason.FETCHING_SOURCE, ProgressReason.PULLING_BASE,
                                   ProgressReason.BUILDING, ProgressReason.PUSHING])  # fmt: skip
def test_phases_are_read_back(phase):
    event = PhaseStarted(time=NOW, phase=phase)
    assert read(written(event)) == [event]


@pytest.mark.parametrize(
    "event",
    [
        Planned(time=NOW, steps=0),
        Planned(time=NOW, steps=12),
        StepStarted(time=NOW, step=3, instruction="RUN make -j4", stage="build"),
        StepStarted(time=NOW, step=3, instruction="RUN echo ] CACHED", stage="0"),
        StepCached(time=NOW, step=3, instruction="COPY a /b", stage="build"),
        StepFinished(time=NOW, step=3, seconds=0.0),
        StepFinished(time=NOW, step=3, seconds=61.5),
        ContextProgress(time=NOW, source="https://f.example/a.tgz", done=40_000, total=40_000),
        PullProgress(time=NOW, image="r.example:5000/base:1", done=4_000_000, total=40_000_000),
        PullProgress(time=NOW, image="r.example/base", done=40_000, total=40_000),
    ],
    ids=repr,
)
def test_an_event_is_read_back(event):
    assert read(written(event)) == [event]


def test_a_push_is_read_back_but_for_its_digest():
    event = PushProgress(time=NOW, repository="r:5/app", digest=DIGEST, done=4_000_000, total=8_000_000)
    assert read(written(event, event)) == [event.model_copy(update={"digest": None})]
    unmade = PushProgress(time=NOW, repository="r:5/app", done=4_000_000)
    assert read(written(unmade, unmade)) == [unmade]


@pytest.mark.parametrize("total", [None, 40_000_000])
def test_a_download_is_read_back(total):
    event = ContextProgress(time=NOW, source="s3://bucket/key", done=4_000_000, total=total)
    assert read(written(event, event)) == [event]


def test_what_people_read():
    lines = written(
        Planned(time=NOW, steps=1),
        StepStarted(time=NOW, step=1, line=2, instruction="RUN make", stage="build"),
        OutputLine(time=NOW, step=1, text="cc main.c"),
        OutputLine(time=NOW, step=1, text=""),
        StepFailed(time=NOW, step=1, seconds=1.0),
        Finished(
            time=NOW,
            result=BuildFailed(
                reason=FailureReason.RUN_STEP_FAILED, message="it ended with 2", file="Dockerfile", line=2
            ),
        ),
    )
    assert lines == [
        "== steps: 1",
        "#1/1 [build] RUN make",
        "#1 | cc main.c",
        "#1 | ",
        "#1 FAILED after 1.0 s",
        "error: Dockerfile:2: it ended with 2",
    ]
    assert written(Finished(time=NOW, result=BuildSucceeded(digest=DIGEST))) == [f"== done: {DIGEST}"]


@pytest.mark.parametrize("forged", FORGED)
@pytest.mark.parametrize("before", ["", "\n", "x\n", "\r", "x\r\n", "\u2028", "\x85", "\x0b", "y" * LINE_BYTES,
                                    "é" * LINE_BYTES, "\x1b[2K"])  # fmt: skip
def test_nothing_that_others_write_is_read_as_progress(forged, before):
    text = before + forged
    lines = written(
        OutputLine(time=NOW, step=1, text=text),
        Warned(time=NOW, message=text),
        Finished(time=NOW, result=BuildFailed(reason=FailureReason.STEP_FAILED, message=text)),
    )
    assert lines
    assert read(lines) == []


@pytest.mark.parametrize("size", range(LINE_BYTES - 70, LINE_BYTES + 70, 7))
@pytest.mark.parametrize("character", ["x", "é", "漢", "😀", "\x1b"])
def test_no_line_is_so_long_that_a_container_runtime_cuts_it(character, size):
    lines = written(OutputLine(time=NOW, step=123456, text=character * size))
    assert all(len(line.encode()) < LINE_BYTES and line.startswith("#123456 | ") for line in lines)
    shown = character if character != "\x1b" else r"\x1b"
    assert "".join(line.removeprefix("#123456 | ") for line in lines) == shown * size


def test_an_instruction_cannot_look_cached():
    stream = io.StringIO()
    Reporter(LogSink(stream)).step_started(1, 1, "RUN echo hello  CACHED", "0")
    (event,) = read(stream.getvalue().splitlines())
    assert isinstance(event, StepStarted)


def test_a_layer_that_is_there_is_no_progress():
    assert read(written(LayerPushed(time=NOW, repository="r/app", digest=DIGEST, bytes=5))) == []
    assert read(written(ImageSigned(time=NOW, repository="r/app", digest=DIGEST))) == []
