"""The builder's log as people read it, and what of its progress a program reads from the same lines.

`strake execute --log-format=pod` writes it, so that `kubectl logs` shows text, and the operator reads how
far the build is:

    == steps: 7                                  so many steps will run or be taken from the cache
    == pulling base images                       the build as a whole entered another phase
    #3/7 [build] RUN make                        an instruction begins to run
    #3/7 [build] RUN make  CACHED                its result was taken from the cache
    #3 | gcc -c main.c                           a line that its command wrote
    #3 done in 4.2 s                             it ran to its end
       https://files.example/src.tgz: fetching, 12.0 MB of 79.0 MB
       registry.example/base: pulled 12.0 MB of 79.0 MB
       registry.example/app@sha256:abcd…: pushing, 12.0 MB of 79.0 MB

A step cannot forge a line: whatever it writes stands behind `#3 | `, on every line of the log. Instructions
are on one line with single spaces, so none can end in two spaces and CACHED. No line is longer than
`LINE_BYTES`, so that no container runtime cuts one in two, whose second half a reader could meet first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from strake_api.events import (
    ContextProgress,
    PhaseStarted,
    Planned,
    PullProgress,
    PushProgress,
    StepCached,
    StepFinished,
    StepStarted,
)
from strake_api.reasons import ProgressReason

if TYPE_CHECKING:
    from datetime import datetime

    from strake_api.events import Event

LINE_BYTES: Final = 4096
"""What a pipe takes in one piece (PIPE_BUF); the runtimes of Kubernetes cut lines at 8 KiB and more."""
PHASES: Final = {
    ProgressReason.FETCHING_SOURCE: "fetching the source",
    ProgressReason.PULLING_BASE: "pulling base images",
    ProgressReason.BUILDING: "building",
    ProgressReason.PUSHING: "pushing",
}
"""A phase in people's words."""

_OUTPUT = re.compile(rb"#\d{1,9} \| ")
_REASONS = {words: reason for reason, words in PHASES.items()}
_PHASE = re.compile(r"== ([a-z ]+)")
_STEPS = re.compile(r"== steps: (\d{1,9})")
_STARTED = re.compile(r"#(\d{1,9})/\d{1,9} \[([^\]]*)\] (.*?)(  CACHED)?")
_FINISHED = re.compile(r"#(\d{1,9}) done in (\d{1,9}\.\d) s")
_AMOUNT = r"(\d{1,9}(?:\.\d+)?) (B|kB|MB|GB)"
_FETCH = re.compile(rf"   (\S+): (?:fetching,|(fetched)) {_AMOUNT}(?: of {_AMOUNT})?")
_PULL = re.compile(rf"   (\S+): pulled {_AMOUNT}(?: of {_AMOUNT})?")
_PUSH = re.compile(rf"   (\S+?)(?:@\S+)?: pushing, {_AMOUNT}(?: of {_AMOUNT})?")
_UNITS = {"B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9}


def phase_line(phase: ProgressReason) -> str:
    """Return the line for a phase; empty for one that the builder has no words for."""
    return f"== {PHASES[phase]}" if phase in PHASES else ""


def steps_line(steps: int) -> str:
    """Return the line for the number of steps."""
    return f"== steps: {steps}"


def is_output(line: bytes) -> bool:
    """Return whether a line is what a step wrote: there may be millions of these, and none tells progress."""
    return _OUTPUT.match(line) is not None


def parse_log_line(time: datetime, line: str) -> Event | None:
    """Return the progress that a line tells; None for a line that is for people alone.

    Args:
        time: when the line was written, which the line itself does not have.
        line: without its line end.
    """
    if found := _STEPS.fullmatch(line):
        return Planned(time=time, steps=int(found[1]))
    if (found := _PHASE.fullmatch(line)) and found[1] in _REASONS:
        return PhaseStarted(time=time, phase=_REASONS[found[1]])
    if found := _STARTED.fullmatch(line):
        kind = StepCached if found[4] else StepStarted
        return kind(time=time, step=int(found[1]), stage=found[2], instruction=found[3])
    if found := _FINISHED.fullmatch(line):
        return StepFinished(time=time, step=int(found[1]), seconds=float(found[2]))
    if found := _FETCH.fullmatch(line):
        done = _bytes(found[3], found[4])
        rest = _bytes(found[5], found[6]) if found[5] else None
        return ContextProgress(time=time, source=found[1], done=done, total=done if found[2] else rest)
    if found := _PULL.fullmatch(line):
        done = _bytes(found[2], found[3])
        return PullProgress(
            time=time, image=found[1], done=done, total=_bytes(found[4], found[5]) if found[4] else done
        )
    if found := _PUSH.fullmatch(line):
        total = _bytes(found[4], found[5]) if found[4] else None
        return PushProgress(time=time, repository=found[1], done=_bytes(found[2], found[3]), total=total)
    return None


def _bytes(amount: str, unit: str) -> int:
    return round(float(amount) * _UNITS[unit])
