"""One operator of several acts: on a Lease that a test can take away, and an API server that it can make fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from strake_operator.errors import ClusterError, ConflictError, ExistsError, NotLeaderError
from strake_operator.handlers.election import Election
from strake_operator.lease import NOBODY, Lease, Terms

TERMS = Terms(duration_seconds=15, deadline_seconds=10, renew_seconds=0.002)
"""With renewals that a test need not wait for."""


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """The Lease as an API server keeps it: who writes over an old version is refused."""

    def __init__(self):
        self.lease: Lease | None = None
        self.fails = False
        self.writes = 0

    def _reach(self):
        if self.fails:
            raise ClusterError("no answer")

    async def read(self):
        self._reach()
        return self.lease

    async def write(self, before, holder, duration, *, acquire):
        self._reach()
        if before is None and self.lease is not None:
            raise ExistsError("there is one")
        if before is not None and (self.lease is None or before.version != self.lease.version):
            raise ConflictError("another version")
        self.writes += 1
        transitions = before.transitions + acquire if before else 0
        self.lease = Lease(holder, duration, transitions, str(self.writes))
        return self.lease


def election(store, name, clock):
    return Election(store, name, TERMS, clock)


async def soon(holds):
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)  # the turn of the others


def of(scenario):
    asyncio.run(scenario())


def test_one_acts_and_the_other_stands_by_until_the_first_gives_up():
    async def scenario():
        store, clock = Store(), Clock()
        first, second = election(store, "first", clock), election(store, "second", clock)
        await first.acquire()
        assert (first.leads, first.stands_by) == (True, False)
        waiting = asyncio.create_task(second.acquire())
        await soon(lambda: second.stands_by)
        assert not second.leads
        with pytest.raises(NotLeaderError):
            second.check()
        await first.release()
        await waiting
        assert (first.leads, second.leads) == (False, True)
        assert store.lease
        assert (store.lease.holder, store.lease.transitions) == ("second", 1)

    of(scenario)


def test_one_that_is_gone_is_followed_when_its_time_is_over():
    async def scenario():
        store, clock = Store(), Clock()
        await election(store, "first", clock).acquire()
        second = election(store, "second", clock)
        waiting = asyncio.create_task(second.acquire())
        await soon(lambda: second.stands_by)
        clock.now += 14.9
        await asyncio.sleep(0.05)  # some looks
        assert not second.leads
        clock.now += 0.1
        await waiting
        assert second.leads

    of(scenario)


def test_one_that_renews_stays():
    async def scenario():
        store, clock = Store(), Clock()
        first = election(store, "first", clock)
        await first.acquire()
        keeping = asyncio.create_task(first.keep())
        for _ in range(10):
            before = store.writes
            clock.now += 5
            await soon(lambda: store.writes > before)  # noqa: B023 - awaited here
        assert first.leads
        assert not keeping.done()
        keeping.cancel()

    of(scenario)


def test_without_an_api_server_it_stops_before_another_may_begin():
    async def scenario():
        store, clock = Store(), Clock()
        first = election(store, "first", clock)
        await first.acquire()
        store.fails = True
        keeping = asyncio.create_task(first.keep())
        clock.now += 9.9
        await asyncio.sleep(0.05)  # some tries
        first.check()
        clock.now += 0.1
        with pytest.raises(NotLeaderError):
            first.check()
        assert "lost" in await keeping
        assert "no answer" in keeping.result()

    of(scenario)


def test_one_that_was_stopped_does_nothing_when_it_goes_on():
    """Whatever comes first then, its own look at the clock or a request that was about to be made."""

    async def scenario():
        store, clock = Store(), Clock()
        first, second = election(store, "first", clock), election(store, "second", clock)
        await first.acquire()
        clock.now += 3600
        with pytest.raises(NotLeaderError):
            first.check()
        waiting = asyncio.create_task(second.acquire())
        await soon(lambda: second.stands_by)
        clock.now += 15
        await waiting
        assert "stood still" in await first.keep()
        await first.release()
        assert store.lease
        assert store.lease.holder == "second", "it gives up nothing that it does not have"

    of(scenario)


@pytest.mark.parametrize(
    ("there", "words"), [(None, "deleted"), (Lease("second", 15, 1, "x"), "second has it")]
)
def test_a_lease_that_somebody_took_or_deleted_is_lost(there, words):
    async def scenario():
        store, clock = Store(), Clock()
        first = election(store, "first", clock)
        await first.acquire()
        store.lease = there
        clock.now += 5
        assert words in await first.keep()

    of(scenario)


def test_a_renewal_whose_answer_was_lost_is_none_that_another_made():
    async def scenario():
        store, clock = Store(), Clock()
        first = election(store, "first", clock)
        await first.acquire()
        store.lease = Lease("first", 15, 0, "by the request without an answer")
        clock.now += 5
        keeping = asyncio.create_task(first.keep())
        await soon(lambda: store.lease and store.lease.version == "2")
        assert first.leads
        keeping.cancel()

    of(scenario)


def test_one_that_was_started_again_goes_on_at_once():
    async def scenario():
        store, clock = Store(), Clock()
        await election(store, "pod", clock).acquire()
        again = election(store, "pod", clock)
        await again.acquire()
        assert again.leads
        assert store.lease
        assert store.lease.transitions == 0

    of(scenario)


def test_of_two_that_come_at_once_one_acts():
    async def scenario():
        store, clock = Store(), Clock()
        store.lease = Lease(NOBODY, 1, 3, "given up")
        both = [election(store, name, clock) for name in ("first", "second")]
        tasks = [asyncio.create_task(each.acquire()) for each in both]
        await soon(lambda: any(each.leads for each in both) and any(each.stands_by for each in both))
        assert sorted(each.leads for each in both) == [False, True]
        for task in tasks:
            task.cancel()

    of(scenario)
