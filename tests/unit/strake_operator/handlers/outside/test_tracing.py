"""Which runs are traced, with which log, and what trouble with that costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from strake_api.status import CurrentRun, ImageBuildStatus, Phase, QueueStatus, Run
from strake_operator.errors import ClusterError
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.outside.hearers import Outside
from strake_operator.handlers.outside.tracing import MOST_READS, MOST_WAITING, Tracing
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.reconcile.observed import Observation
from strake_operator.traces.spans import Traced
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import (
    FAILURE,
    NOW,
    SETTINGS,
    SUCCESS,
    build,
    ended,
    no_log,
    pod,
    run,
)
from tests.unit.strake_operator.handlers.recorded import BUILD, KEY, Cluster
from tests.unit.strake_operator.reconcile.parts.several import (
    AMD64,
    ARM64,
    SEVERAL,
    entry,
    job,
    status_with,
)


class Target:
    """Keeps what was sent, and may fail."""

    def __init__(self, failure=None):
        self.sent, self.failure = [], failure

    def send(self, spans):
        self.sent.append(tuple(spans))
        if self.failure is not None:
            raise self.failure


def log(*lines):
    async def read(namespace, pod):
        for line in lines:
            yield line.encode()

    return read


LOG = log(f"{NOW.isoformat()} == steps: 1", f"{NOW.isoformat()} #1/1 [0] RUN make", "no time #2/2 [0] RUN x")


def reconciled(cluster, lines=LOG, target=None, times=1):
    """Reconcile, and return the names of the spans of each trace."""
    target = target or Target()

    async def test():
        tracing = Tracing(lines, target)
        reconciler = Reconciler(
            cluster, Follower(no_log), SETTINGS, print, lambda: NOW, outside=Outside(tracing=tracing)
        )
        for _ in range(times):
            await reconciler.reconcile(KEY)
            cluster.the_build = replace(cluster.the_build, status=cluster.status)
        while tracing._tasks:
            await asyncio.gather(*tracing._tasks)
        await tracing.close()

    asyncio.run(test())
    return [[span.name for span in trace] for trace in target.sent]


@pytest.mark.parametrize("result", [SUCCESS, FAILURE])
def test_a_run_that_ended_is_traced_once(result):
    cluster = Cluster(BUILD, runs=[run(pod=pod(ended(result.to_json())))])
    (trace,) = reconciled(cluster, times=3)
    assert trace == ["run", "starting", "running", "step RUN"]


def test_a_run_of_several_platforms_is_traced_with_the_steps_of_each():
    read: list[str] = []

    async def lines(_namespace, name):
        read.append(name)
        if name == "pod-linux-arm64":
            raise ClusterError("no log")
        for text in ("== steps: 1", "#1/1 [0] RUN make"):
            yield f"{NOW.isoformat()} {text}".encode()

    parts = [
        entry("source", "Succeeded"),
        entry(AMD64, "Succeeded"),
        entry(ARM64, "Succeeded"),
        entry("index"),
    ]
    jobs = [job(each.name, "ended well") for each in reversed(parts)]
    jobs = [replace(each, pod=replace(present(each.pod), name=f"pod-{each.part}")) for each in jobs]
    cluster = Cluster(build(status_with(*parts), spec=SEVERAL), runs=jobs)
    (trace,) = reconciled(cluster, lines)
    assert sorted(read) == ["pod-index", "pod-linux-amd64", "pod-linux-arm64", "pod-source"]
    assert trace[0] == "run"
    # Of the part without a log nothing is known; the others have their own.
    assert [name for name in trace if name in {"running", "step RUN"}] == ["running", "step RUN"] * 3


def test_a_run_that_goes_on_is_not_traced():
    assert reconciled(Cluster()) == []


def test_a_run_whose_place_another_takes_is_traced():
    (trace,) = reconciled(Cluster(replace(BUILD, rerun="again"), runs=[run()]))
    assert trace[0] == "run"


def failing(failure):
    async def read(namespace, pod):
        yield f"{NOW.isoformat()} == steps: 1".encode()
        raise failure

    return read


@pytest.mark.parametrize("failure", [ClusterError("gone"), TimeoutError()])
def test_a_log_that_breaks_off_leaves_what_came(failure):
    cluster = Cluster(BUILD, runs=[run(pod=pod(ended(SUCCESS.to_json())))])
    (trace,) = reconciled(cluster, failing(failure))
    assert trace == ["run", "starting", "running"]


def test_a_mistake_with_telemetry_does_not_concern_the_build():
    cluster = Cluster(BUILD, runs=[run(pod=pod(ended(SUCCESS.to_json())))])
    reconciled(cluster, target=Target(RuntimeError("oops")))
    assert cluster.status.phase == "Succeeded"


def test_logs_that_are_read_at_a_time_are_bounded():
    reading, most = 0, 0

    async def read(namespace, pod):
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0)  # others have their turn
        yield b""
        reading -= 1

    target = Target()

    async def test():
        tracing = Tracing(read, target)
        for number in range(1, 300):
            one = Run(number=number, generation=1, phase=Phase.FAILED, reason="TimedOut")
            tracing._trace(Traced("team", "app", "uid", one, NOW), {"": "pod"})
        while tracing._tasks:
            await asyncio.gather(*tracing._tasks)

    asyncio.run(test())
    assert most == MOST_READS
    assert len(target.sent) == 299
    assert MOST_WAITING < 299


def seen_of(the_build):
    return Observation(the_build, (), None)


def test_the_wait_in_the_queue_is_in_the_trace_and_nothing_is_kept_of_it():
    target = Target()
    since = "2026-01-01T00:00:00Z"
    waits = ImageBuildStatus(
        observed_generation=1,
        phase=Phase.QUEUED,
        run=CurrentRun(number=1, generation=1, trigger="Spec"),
        queue=QueueStatus(since=since),
    )
    over = Run(
        number=1, generation=1, phase=Phase.FAILED, reason="TimedOut", start_time="2026-01-01T00:05:00Z"
    )

    async def test():
        tracing = Tracing(LOG, target)
        tracing.reported(KEY, seen_of(build()), waits)
        ended = waits.model_copy(update={"phase": Phase.FAILED, "queue": None, "history": (over,)})
        tracing.reported(KEY, seen_of(build(waits)), ended)
        await asyncio.gather(*tracing._tasks)
        kept = len(tracing._requested)
        tracing.reported(KEY, seen_of(build()), waits)
        tracing.forget(KEY)
        return kept, len(tracing._requested)

    assert asyncio.run(test()) == (0, 0)
    ((root, queued, _),) = target.sent
    assert (root.name, queued.name) == ("run", "queued")
    assert (queued.ended - queued.began).total_seconds() == 300
