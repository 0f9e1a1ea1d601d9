"""Following logs: once for each pod, again after a break, without a trace after the end."""

from __future__ import annotations

import asyncio

from strake_api.events import Planned, format_event
from strake_operator.errors import ClusterError
from strake_operator.handlers.follower import Follower
from tests.unit.strake_operator.builders import NOW

PLANNED = format_event(Planned(time=NOW, steps=5)).encode()


def test_a_log_is_read_once_and_again_after_a_break():
    opened = []

    async def lines(namespace, pod):
        opened.append(pod)
        yield PLANNED
        raise ClusterError("connection reset")

    async def test():
        follower = Follower(lines)
        changes = []
        for expected in (1, 2):
            follower.follow("ns", "pod", lambda: changes.append(1))
            follower.follow("ns", "pod", lambda: changes.append(1))
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(opened) == expected
        assert follower.progress("ns", "pod").total == 5
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
            await asyncio.sleep(0)
        assert follower.progress("ns", "pod") is not None
        follower.forget("ns", "pod")
        assert follower.progress("ns", "pod") is None
        await follower.close()

    asyncio.run(test())
