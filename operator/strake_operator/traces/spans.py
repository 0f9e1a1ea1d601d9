"""The spans of a run: a pure function of the run, of when it was asked for, and of its builders' timelines.

IDs follow from the ImageBuild's UID and the run's number: a trace that is sent again is the same trace.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from strake_api.status import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from strake_api.status import Run
    from strake_operator.traces.timeline import Timeline

LONGEST: Final = 256
"""Characters of an attribute."""
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Span:
    """A span that ended."""

    trace: int
    id: int
    parent: int | None
    name: str
    """Of a closed list, so that backends can group by it."""
    began: datetime
    ended: datetime
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    failed: str | None = None
    """Why it failed, in one word; None where it did not."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A run to trace."""

    namespace: str
    name: str
    uid: str
    run: Run
    requested: datetime | None
    """When the run was asked for, where the operator saw it."""

    @property
    def number(self) -> int:
        """The run's number."""
        return self.run.number or self.run.generation


def spans(traced: Traced, *timelines: Timeline) -> tuple[Span, ...]:
    """Return the spans of a run that ended, the root first; of several platforms each part has its own below.

    Times of Kubernetes have whole seconds and those of a log have not, so a span ends no sooner than its
    children.
    """
    started, over = _moment(traced.run.start_time), _moment(traced.run.completion_time)
    moments = [traced.requested, started, over]
    for each in timelines:
        moments += [each.began, each.ended]
    known = [each for each in moments if each is not None]
    if not known:
        return ()
    began, ended = min(known), max(known)
    root = _root(traced, began, ended)
    found = [root]
    if traced.requested is not None:
        found.append(_child(root, "queued", traced.requested, started or ended))
    if started is not None:
        first = min((each.began for each in timelines if each.began is not None), default=ended)
        found.append(_child(root, "starting", started, max(started, first)))
    for each in timelines:
        found += _builder(root, each)
    return tuple(found)


def _builder(root: Span, timeline: Timeline) -> Iterator[Span]:
    """Yield what a builder did, which is the run or a part of it; a part ends before the run does."""
    if timeline.began is None:
        return
    part = timeline.part[:LONGEST]
    over = root.ended if not part else timeline.ended or root.ended
    attributes = {"strake.run.part": part} if part else None
    running = _child(root, "running", timeline.began, over, unique=part, attributes=attributes)
    yield running
    yield from _phases(running, timeline)
    yield from _steps(running, timeline, failed=root.failed)


def _root(traced: Traced, began: datetime, ended: datetime) -> Span:
    run = traced.run
    values: dict[str, str | int | None] = {
        "k8s.namespace.name": traced.namespace,
        "strake.imagebuild.name": traced.name,
        "strake.imagebuild.uid": traced.uid,
        "strake.run.number": traced.number,
        "strake.run.trigger": run.trigger,
        "strake.run.attempts": run.attempts,
        "strake.run.reason": run.reason,
        "strake.image.digest": run.digest,
    }
    attributes = {
        key: value[:LONGEST] if isinstance(value, str) else value
        for key, value in values.items()
        if value is not None
    }
    failed = None if run.phase is Phase.SUCCEEDED else run.reason[:LONGEST]
    trace = _number(f"{traced.uid}-{traced.number}", _TRACE_BYTES)
    return Span(trace, _number(f"{trace}/", _SPAN_BYTES), None, "run", began, ended, attributes, failed)


def _phases(running: Span, timeline: Timeline) -> Iterator[Span]:
    ends = [*timeline.phases, ("", running.ended)]
    for number, ((phase, began), (_, ended)) in enumerate(pairwise(ends)):
        unique = f"{timeline.part}{number}"
        yield _child(running, f"phase {phase}", began, max(began, ended), unique=unique)


def _steps(running: Span, timeline: Timeline, *, failed: str | None) -> Iterator[Span]:
    for step in timeline.steps.values():
        attributes: dict[str, str | int | bool] = {
            "strake.step.number": step.number,
            "strake.step.stage": step.stage[:LONGEST],
            "strake.step.instruction": step.instruction[:LONGEST],
            "strake.step.cached": step.cached,
        }
        word = step.instruction.partition(" ")[0]
        name = f"step {word}" if word.isascii() and word.isalpha() and word.isupper() else "step"
        ended = max(step.began, step.ended or running.ended)
        unfinished = failed if step.ended is None else None
        yield _child(
            running,
            name[:LONGEST],
            step.began,
            ended,
            unique=f"{timeline.part}{step.number}",
            attributes=attributes,
            failed=unfinished,
        )


def _child(
    parent: Span,
    name: str,
    began: datetime,
    ended: datetime,
    *,
    unique: str = "",
    attributes: Mapping[str, str | int | bool] | None = None,
    failed: str | None = None,
) -> Span:
    number = _number(f"{parent.trace}/{parent.name}/{name}/{unique}", _SPAN_BYTES)
    # Clocks of nodes differ, and a status may be written by hand.
    began = min(max(began, parent.began), parent.ended)
    ended = min(max(ended, began), parent.ended)
    return Span(parent.trace, number, parent.id, name, began, ended, attributes or {}, failed)


def _number(text: str, length: int) -> int:
    """Return an ID of so many bytes, which is not zero, since zero stands for none."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:length], "big") or 1


def _moment(text: str | None) -> datetime | None:
    """Return a time of a status; None for what somebody wrote by hand that is none."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
