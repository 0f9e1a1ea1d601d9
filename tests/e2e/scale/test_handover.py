"""Two operators, of which the one that acts is killed, stopped or told to end while builds are in every phase."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.scale.api import Api
from tests.scale.builds import Builds, Name
from tests.scale.control_plane import control_plane, stub_kubelet
from tests.scale.kubelet import pods_of
from tests.scale.operator import Operator, operator, requests

SECONDS = 400
"""For all of it, on a busy machine."""
MANY = 24
UNDER_WAY = 16
"""Requests that an operator may have begun when it is stopped, one for each that its queue reconciles at a time.

aiohttp writes a request in the turn of the event loop after the look at the Lease. One that went on acting would make
dozens.
"""


@pytest.fixture(scope="module")
def plane():
    with control_plane() as made, stub_kubelet(made, seconds=2):
        yield made


@contextlib.contextmanager
def two_operators(plane, name: str) -> Iterator[tuple[Operator, Operator]]:
    """Run one that acts, and one that stands by."""
    with operator(plane, name=f"{name}-first", number=0) as first:
        asyncio.run(leads(first))  # the test before left the Lease to its time
        with operator(plane, name=f"{name}-second", number=1) as second:
            assert not second.leads
            yield first, second


async def through(plane, namespace: str, handover) -> tuple[Builds, list[Name]]:
    """Make builds one after the other, hand over in the middle of them, and wait until all have ended."""
    names = [(namespace, f"app-{number}") for number in range(MANY)]
    async with Api(plane.url, plane.token) as api:
        builds = Builds(api)
        await builds.namespaces([namespace])
        async with builds.watched():
            # When a quarter is left to come, the first have ended and others are in each phase between.
            coming = asyncio.create_task(builds.create(names, per_second=8))
            await builds.wait(names[:4], seconds=SECONDS)
            await handover()
            await coming
            await builds.wait(names, seconds=SECONDS)
        return builds, names


async def leads(candidate: Operator) -> None:
    """Return when an operator acts; fail with its log where it has ended instead."""
    async with asyncio.timeout(SECONDS):
        while not await asyncio.to_thread(lambda: candidate.leads):
            assert candidate.process.poll() is None, candidate.log.read_text()[-3000:]
            await asyncio.sleep(0.1)  # between looks


def check(plane, builds: Builds, names: list[Name]) -> None:
    """Assert that each build ran once, and succeeded."""
    phases = {name: builds.seen.phases[name] for name in names}
    assert phases == dict.fromkeys(names, "Succeeded")
    assert {name: builds.seen.jobs[name] for name in names} == dict.fromkeys(names, 1)
    ran = pods_of((plane.directory / "kubelet.log").read_text())
    assert {name: ran[name] for name in names} == dict.fromkeys(names, 1), "a pod for each, and no second"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_another_takes_over_and_each_build_runs_once(plane, sent):
    name = sent.name.lower()
    with two_operators(plane, name) as (first, second):

        async def handover() -> None:
            first.process.send_signal(sent)
            await leads(second)

        builds, names = asyncio.run(through(plane, name, handover))
        first.process.wait(SECONDS)
    check(plane, builds, names)


def test_one_that_was_stopped_and_goes_on_does_nothing_more(plane):
    with two_operators(plane, "stopped") as (first, second):
        went_on: list[datetime] = []

        async def handover() -> None:
            first.process.send_signal(signal.SIGSTOP)
            await leads(second)
            went_on.append(datetime.now(UTC))
            first.process.send_signal(signal.SIGCONT)

        builds, names = asyncio.run(through(plane, "stopped", handover))
        assert first.process.wait(SECONDS) == 1
        assert (
            "another operator may have taken over" in first.log.read_text()
            or "lost Lease" in first.log.read_text()
        )
        changes = [each for each in requests(plane) if each.changes and each.moment > went_on[0]]
    # One that was stopped between its last look at the Lease and the socket still sends what it had begun.
    assert sum(each.by == "first" for each in changes) <= UNDER_WAY
    assert any(each.by == "second" for each in changes)
    check(plane, builds, names)


def test_without_an_api_server_it_ends_and_loses_nothing(plane):
    """The API server stands still for longer than the Lease lasts: nobody acts, then one does."""
    with two_operators(plane, "silent") as (first, second):

        async def handover() -> None:
            plane.pause("kube-apiserver")
            assert await asyncio.to_thread(first.process.wait, SECONDS) == 1
            plane.resume("kube-apiserver")
            await leads(second)

        builds, names = asyncio.run(through(plane, "silent", handover))
    check(plane, builds, names)


def test_one_with_little_of_a_processor_keeps_the_lease(plane):
    """As on a node that is full of builds: what takes seconds of processor happens before it acts."""
    with operator(plane, name="slow", processor=0.15) as slow:
        asyncio.run(leads(slow))
