"""What a person sees on a terminal while a build runs, and what stays there when it is over."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime

import pytest

from strake_api.events import (
    CacheMountMoved,
    ContextProgress,
    Finished,
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
from strake_api.reasons import FailureReason, ProgressReason
from strake_api.result import BuildFailed, BuildSucceeded, Durations
from strake_builder.progress.live.sink import LiveSink
from strake_builder.progress.style import LogStyle
from tests.fixtures.terminal import Terminal, View

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
BUILDING = PhaseStarted(time=NOW, phase=ProgressReason.BUILDING)
DONE = Finished(time=NOW, result=BuildSucceeded(digest=DIGEST, durations=Durations(total=4.2)))
FAILED = Finished(time=NOW, result=BuildFailed(reason=FailureReason.RUN_STEP_FAILED, message="no"))


def started(step: int, instruction: str = "RUN make") -> StepStarted:
    return StepStarted(time=NOW, step=step, line=step, instruction=instruction, stage="build")


def output(text: str, step: int = 1) -> OutputLine:
    return OutputLine(time=NOW, step=step, text=text)


@pytest.fixture
def view(monkeypatch):
    return View(monkeypatch)


def spaced(line: str) -> str:
    return " ".join(line.split())


def test_a_running_step_has_its_time_and_its_last_lines(view):
    lines = view.show(
        BUILDING,
        Planned(time=NOW, steps=3),
        started(2),
        *(output(f"cc {n}.c", 2) for n in range(9)),
        after=4.2,
    )
    assert [spaced(line) for line in lines] == [
        "building, 0 of 3 steps 4.2 s",
        "#2/3 [build] RUN make 4.2 s",
        *(f"| cc {number}.c" for number in range(3, 9)),
    ]
    assert view.show(after=60.0)[1].endswith("1 min 04 s")


def test_what_is_done_stays_above_as_lines_and_at_the_end_nothing_else_is_left(view):
    view.show(BUILDING, Planned(time=NOW, steps=3), started(2), started(3))
    lines = view.show(
        StepCached(time=NOW, step=1, line=1, instruction="COPY a /", stage="build"),
        StepFinished(time=NOW, step=2, seconds=0.3),
        Warned(time=NOW, message="odd", file="Dockerfile", line=3),
    )
    above = [
        "#1/3 [build] COPY a /  CACHED",
        "#2/3 [build] RUN make  0.3 s",
        "warning: Dockerfile:3: odd",
    ]
    assert lines[:3] == above
    assert [spaced(line) for line in lines[3:]] == [
        "building, 2 of 3 steps 0.0 s",
        "#3/3 [build] RUN make 0.0 s",
    ]
    assert view.show(StepFinished(time=NOW, step=3, seconds=2.0), DONE) == [
        *above,
        "#3/3 [build] RUN make  2.0 s",
        "done in 4.2 s",
        "0 B in 0 layers, 0 B pushed, 0 B pulled",
        DIGEST,
    ]


def test_a_build_that_fails_leaves_the_step_that_did(view):
    view.show(BUILDING, Planned(time=NOW, steps=1), started(1), output("oh"))
    failure = StepFailed(time=NOW, step=1, seconds=1.5, exit_code=2)
    assert view.show(failure, FAILED) == ["#1/1 [build] RUN make  FAILED after 1.5 s"]


def test_bytes_on_their_way_have_bars_until_they_are_there(view):
    lines = view.show(
        BUILDING,
        ContextProgress(time=NOW, source="s3://bucket/a.tgz", done=12_000_000),
        PullProgress(time=NOW, image="r.example/base", done=20_000_000, total=40_000_000),
        PushProgress(time=NOW, repository="r.example/app", digest=DIGEST, done=1_000, total=8_000),
    )
    shown = [spaced(line.replace("━", "").replace("╸", "").replace("╺", "")) for line in lines[1:]]
    assert shown == [
        "fetch s3://bucket/a.tgz 12.0 MB",
        "pull r.example/base 20.0 MB of 40.0 MB",
        "push r.example/app@sha256:ababababa… 1.0 kB of 8.0 kB",
    ]
    assert lines[2].count("━") + lines[2].count("╸") + lines[2].count("╺") == 20, "half of it in a colour"
    lines = view.show(
        ContextProgress(time=NOW, source="s3://bucket/a.tgz", done=13_000_000, total=13_000_000),
        PullProgress(time=NOW, image="r.example/base", done=40_000_000, total=40_000_000),
        LayerPushed(time=NOW, repository="r.example/app", digest=DIGEST, bytes=8_000),
    )
    assert lines[0] == "   r.example/app@sha256:abababababab… pushed (8.0 kB)"
    assert [spaced(line) for line in lines[1:]] == ["building 0.0 s"]


def test_a_hundred_steps_fit_the_screen(view):
    lines = view.show(BUILDING, Planned(time=NOW, steps=100), *map(started, range(1, 101)))
    assert len(lines) == 22
    assert lines[-1] == "… 80 more steps run"
    view.show(*(output("x" * 100_000, step) for step in range(1, 101)))
    ends = [StepFinished(time=NOW, step=step, seconds=1.0) for step in range(1, 101)]
    lines = view.show(*ends, DONE)
    assert len(lines) == 103
    assert not [line for line in lines if "more steps" in line or "xxx" in line]


@pytest.mark.parametrize("size", [(20, 5), (5, 3), (1, 2), (3, 2), (500, 200), (0, 0)])
def test_any_size_of_a_terminal(monkeypatch, size):
    view = View(monkeypatch, *size)
    view.terminal = Terminal(size[0] or 80, size[1] or 24)
    transfers = [PullProgress(time=NOW, image="r.example/b", done=1, total=n) for n in range(2, 40)]
    for _ in range(2):
        lines = view.show(BUILDING, Planned(time=NOW, steps=2), started(1), output("long " * 99), *transfers)
        assert len(lines) <= max((size[1] or 24) - 2, 1)
    view.terminal.width = 500
    assert view.show(DONE)[-3:] == ["done in 4.2 s", "0 B in 0 layers, 0 B pushed, 0 B pulled", DIGEST]


def test_a_terminal_that_is_resized(view):
    view.show(BUILDING, Planned(time=NOW, steps=1), started(1), output("long " * 99))
    view.size = (100, 40)
    view.terminal.width = 100
    lines = view.show()
    assert len(lines) == 3
    assert 80 < len(lines[2]) < 100


def test_without_colours(monkeypatch):
    view = View(monkeypatch, style=LogStyle(live=True, plain=True))
    view.show(BUILDING, Planned(time=NOW, steps=1), started(1), output("\x1b[31mred"))
    view.show(StepFailed(time=NOW, step=1, seconds=1.0), FAILED)
    assert not {value for value in view.terminal.styled if value.startswith(("3", "4", "9"))}


def test_the_thread_that_draws_ends_with_the_build(monkeypatch):
    stream = io.StringIO()
    drawn = threading.Event()
    sink = LiveSink(stream, LogStyle(live=True), between=0.01)
    original = LiveSink.draw

    def draw(self: LiveSink) -> None:
        original(self)
        drawn.set()

    monkeypatch.setattr(LiveSink, "draw", draw)
    sink(BUILDING)
    assert drawn.wait(60)
    sink(DONE)
    assert not [thread for thread in threading.enumerate() if thread.name == "live view"]
    terminal = Terminal()
    terminal.feed(stream.getvalue())
    assert terminal.lines[0] == "done in 4.2 s"


def test_a_terminal_that_is_gone_does_not_fail_the_build(monkeypatch):
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(5, "Input/output error")

    sink = LiveSink(Gone(), LogStyle(live=True), between=0.01)
    ended = StepFinished(time=NOW, step=1, seconds=1.0)
    for event in (BUILDING, started(1), output("x"), ended, DONE):
        sink(event)
    assert "live view" not in {thread.name for thread in threading.enumerate()}


def test_the_steps_of_one_platform_after_the_other_are_counted_apart(view):
    done = StepFinished(time=NOW, step=1, seconds=1.0)
    lines = view.show(
        BUILDING, Planned(time=NOW, steps=1), started(1), done, Planned(time=NOW, steps=1), started(1)
    )
    assert any("0 of 1 steps" in spaced(line) for line in lines), lines


def test_a_cache_mount_on_its_way_is_shown_until_it_is_there(view):
    moving = PullProgress(time=NOW, image="cache mount /c", done=1000, total=8000)
    assert any("cache mount /c" in line for line in view.show(BUILDING, moving))
    there = CacheMountMoved(time=NOW, action="restored", target="/c", bytes=9000, files=2, transferred=8000)
    lines = view.show(there)
    assert "   cache mount /c restored: 9.0 kB in 2 files, 8.0 kB pulled" in lines
    assert not any("of 8.0 kB" in line for line in lines[1:])
