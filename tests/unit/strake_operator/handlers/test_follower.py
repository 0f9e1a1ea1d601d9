"""Following logs: once for each pod, again after a break, without a trace after the end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from strake_operator.errors import ClusterError
from strake_operator.handlers import follower as module
from strake_operator.handlers.follower import Follower
from tests.fixtures.narrow import present

PLANNED = b"2026-01-02T00:00:00.000000001Z == steps: 5"
STARTED = b"2026-01-02T00:00:01.000000000Z #1/5 [0] RUN a"
CACHED = b"2026-01-02T00:00:02.000000000Z #2/5 [0] RUN b  CACHED"


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.001)


def test_a_log_is_read_once_and_again_after_a_break(quick):
    opened, thrice = [], asyncio.Event()

    async def lines(namespace, pod):
        opened.append(pod)
        if len(opened) == 3:
            thrice.set()
        yield PLANNED
        raise ClusterError("connection reset")

    async def test():
        follower = Follower(lines)
        changes = []
        follower.follow("ns", "pod", lambda: changes.append(1))
        follower.follow("ns", "pod", lambda: changes.append(1))
        for _ in range(5):
            await asyncio.sleep(0)  # the turn of the other tasks
        assert len(opened) == 1
        async with asyncio.timeout(5):
            await thrice.wait()
        assert present(follower.progress("ns", "pod")).total == 5
        assert len(changes) == 1
        await follower.close()

    asyncio.run(test())


def test_a_log_that_ends_while_its_pod_runs_is_read_on(quick):
    """An API server, a proxy or the client itself ends long connections, without an error."""
    logs = [[PLANNED], [PLANNED], [PLANNED, STARTED]]

    async def lines(namespace, pod):
        for line in logs.pop(0) if len(logs) > 1 else logs[0]:
            yield line

    async def test():
        follower = Follower(lines)
        shown: asyncio.Queue[Any] = asyncio.Queue()
        follower.follow("ns", "pod", lambda: shown.put_nowait(present(follower.progress("ns", "pod")).text))
        async with asyncio.timeout(5):
            await shown.get()
            assert await shown.get() == "[1/5] RUN a"
        await follower.close()

    asyncio.run(test())


def test_a_pod_that_ended_is_forgotten():
    async def lines(namespace, pod):
        yield PLANNED
        await asyncio.Event().wait()

    async def test():
        follower = Follower(lines)
        follower.follow("ns", "pod", lambda: None)
        for _ in range(5):
            await asyncio.sleep(0)  # the turn of the other tasks
        assert follower.progress("ns", "pod") is not None
        follower.forget("ns", "pod")
        assert follower.progress("ns", "pod") is None
        await follower.close()

    asyncio.run(test())


def test_a_log_that_lost_its_beginning_loses_no_progress(quick):
    """A kubelet rotates a container's log; what is read then begins in the middle."""
    logs = [[PLANNED, STARTED], [CACHED]]

    async def lines(namespace, pod):
        for line in logs.pop(0) if len(logs) > 1 else logs[0]:
            yield line

    async def test():
        follower = Follower(lines)
        shown: asyncio.Queue[Any] = asyncio.Queue()
        follower.follow("ns", "pod", lambda: shown.put_nowait(follower.progress("ns", "pod")))
        async with asyncio.timeout(5):
            progress = [await shown.get() for _ in range(3)][-1]
        assert (progress.text, progress.total, progress.cached) == ("[2/5] RUN b", 5, 1)
        await follower.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    "line",
    [
        b"== steps: 9",
        b"failed to open the log: no such file",
        b"2026-01-02 == steps: 9",
        b"2026-01-02T00:00:00 == steps: 9",
        b"2026-01-02T00:00:00Z #1 | == steps: 9",
        b"2026-01-02T00:00:00Z #1 | 2026-01-02T00:00:00Z == steps: 9",
        b'2026-01-02T00:00:00Z {"type":"Planned","steps":9}',
        b"\xff\xfe",
        b"",
    ],
)
def test_what_is_no_progress_is_passed_over(line):
    async def lines(namespace, pod):
        yield line
        yield PLANNED
        await asyncio.Event().wait()

    async def test():
        follower = Follower(lines)
        follower.follow("ns", "pod", lambda: None)
        for _ in range(5):
            await asyncio.sleep(0)  # the turn of the other tasks
        assert present(follower.progress("ns", "pod")).total == 5
        await follower.close()

    asyncio.run(test())


def test_logs_without_an_end_leave_the_operator_to_others():
    """A hundred steps write empty lines, as fast as they are read."""
    block = [b"2026-01-02T00:00:01Z #1 | "] * 1700

    async def lines(namespace, pod):
        if pod == "honest":
            yield PLANNED
            yield STARTED
            await asyncio.Event().wait()
        while True:
            await asyncio.sleep(0)  # the turn of the other tasks
            for line in block:
                yield line

    async def test():
        follower, loop = Follower(lines), asyncio.get_running_loop()
        for number in range(100):
            follower.follow("ns", f"flood-{number}", lambda: None)
        shown = asyncio.Event()
        follower.follow("ns", "honest", shown.set)
        async with asyncio.timeout(10):
            await shown.wait()
        before, begin = time.process_time(), loop.time()
        await asyncio.sleep(1)  # the second in which processor time is measured
        taken = (time.process_time() - before) / (loop.time() - begin)
        await follower.close()
        return taken

    assert asyncio.run(test()) < 0.6, "a part of one processor"


def test_no_more_logs_are_read_at_a_time_than_there_are_connections():
    opened: list[str] = []
    ends = {"first": asyncio.Event(), "second": asyncio.Event()}

    async def lines(namespace, pod):
        opened.append(pod)
        yield PLANNED
        await ends[pod].wait()

    async def test():
        follower = Follower(lines, most=1)
        for pod in ends:
            follower.follow("ns", pod, lambda: None)
        for _ in range(5):
            await asyncio.sleep(0)  # the turn of the other tasks
        assert opened == ["first"]
        follower.forget("ns", "first")
        for _ in range(5):
            await asyncio.sleep(0)
        assert opened == ["first", "second"]
        await follower.close()

    asyncio.run(test())


def test_what_was_shown_stays_for_a_while_and_is_followed_by_the_latest():
    """Each is a write of the status, which has the build looked at again."""
    more = asyncio.Event()

    async def lines(namespace, pod):
        yield PLANNED
        await more.wait()
        yield STARTED
        await asyncio.Event().wait()

    async def test():
        follower = Follower(lines)
        assert follower.shown("ns", "pod", 60) == (None, None)
        follower.follow("ns", "pod", lambda: None)
        for _ in range(5):
            await asyncio.sleep(0)  # the turn of the other tasks
        first, left = follower.shown("ns", "pod", 60)
        assert (present(first).total, left) == (5, None)
        more.set()
        for _ in range(5):
            await asyncio.sleep(0)
        again, left = follower.shown("ns", "pod", 60)
        assert again == first
        assert 59 < present(left) <= 60
        latest, left = follower.shown("ns", "pod", 0)
        assert (present(latest).step, left) == ("[1/5] RUN a", None)
        await follower.close()

    asyncio.run(test())
