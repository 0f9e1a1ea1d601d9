"""The queue: each build once, never by two workers, again after a failure."""

from __future__ import annotations

import asyncio

import pytest

from strake_operator.errors import ClusterError, ConflictError
from strake_operator.handlers import queue as module
from strake_operator.handlers.queue import Key, Queue, Rank

A, B = Key("ns", "a"), Key("ns", "b")


class Looks:
    """Records looks; each can be held open."""

    def __init__(self, *answers):
        self.seen: list[Key] = []
        self.answers = list(answers)
        self.changed = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key):
        self.seen.append(key)
        self.changed.set()
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def until(self, count):
        async with asyncio.timeout(5):
            while len(self.seen) < count:
                self.changed.clear()
                await self.changed.wait()


def run(test):
    asyncio.run(test())


def test_a_key_waits_once():
    async def test():
        looks = Looks()
        queue = Queue(looks)
        for _ in range(3):
            queue.add(A)
        queue.add(B)
        async with queue.running():
            await looks.until(2)
            await asyncio.sleep(0)  # the turn of the other tasks
        assert sorted(looks.seen) == [A, B]

    run(test)


def test_a_change_during_a_look_means_another_look():
    async def test():
        looks = Looks()
        looks.gate.clear()
        queue = Queue(looks)
        async with queue.running():
            queue.add(A)
            await looks.until(1)
            queue.add(A)
            queue.add(A)
            assert looks.seen == [A], "no second worker takes the same key"
            looks.gate.set()
            await looks.until(2)
        assert looks.seen == [A, A]

    run(test)


@pytest.mark.parametrize(
    "problem", [ClusterError("503"), ConflictError("409"), ValueError("a mistake of ours")], ids=repr
)
def test_a_failed_look_is_repeated(problem, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)

    async def test():
        looks = Looks(problem)
        queue = Queue(looks)
        async with queue.running():
            queue.add(A)
            await looks.until(2)
        assert looks.seen == [A, A]

    run(test)


def test_where_others_are_quicker_the_next_look_is_soon(monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LAST_CONFLICT_SECONDS", 0.02)

    async def test():
        looks = Looks(*[ConflictError("409")] * 12)
        queue = Queue(looks)
        async with queue.running():
            queue.add(A)
            await looks.until(13)

    run(test)


def test_a_look_may_ask_for_another():
    async def test():
        looks = Looks(0.01)
        queue = Queue(looks)
        async with queue.running():
            queue.add(A)
            await looks.until(2)
        assert looks.seen == [A, A]

    run(test)


def test_the_earlier_of_two_times_counts():
    async def test():
        looks = Looks()
        queue = Queue(looks)
        async with queue.running():
            queue.requeue_after(A, 60)
            queue.requeue_after(A, 0.01)
            queue.requeue_after(A, 30)
            await looks.until(1)
        assert looks.seen == [A]

    run(test)


def test_one_builds_trouble_does_not_stop_another():
    async def test():
        looks = Looks(*[ClusterError("no")] * 1)
        queue = Queue(looks, workers=1)
        async with queue.running():
            queue.add(A)
            queue.add(B)
            await looks.until(2)
        assert looks.seen[:2] == [A, B]

    run(test)


def test_builds_that_ended_come_after_those_that_go_on():
    async def test():
        looks, going_on = Looks(), {B}
        queue = Queue(looks, workers=1, rank=lambda key: Rank.COMES if key in going_on else Rank.ENDED)
        ended = [Key("ns", f"ended-{n}") for n in range(5)]
        for key in (*ended, B):
            queue.add(key)
        going_on.add(ended[3])  # its spec changed
        for _ in range(2):
            queue.add(ended[3])
        async with queue.running():
            await looks.until(6)
            await asyncio.sleep(0.01)
        assert looks.seen == [B, ended[3], ended[0], ended[1], ended[2], ended[4]]

    run(test)


def test_thousands_of_one_namespace_keep_the_build_of_another_waiting_for_one_reconcile():
    async def test():
        looks = Looks()
        queue = Queue(looks, workers=1)
        many, single = [Key("crowd", f"n{n}") for n in range(50)], Key("team", "single")
        for key in (*many, single):
            queue.add(key)
        async with queue.running():
            await looks.until(51)
        assert looks.seen.index(single) == 1
        assert [key for key in looks.seen if key != single] == many

    run(test)


def test_a_run_that_goes_on_or_may_start_comes_before_all_that_were_made():
    async def test():
        looks = Looks()
        queue = Queue(looks, workers=1)
        for key in (A, B):
            queue.add(key)
        queue.add(B, Rank.GOES_ON)
        async with queue.running():
            await looks.until(2)
            await asyncio.sleep(0.01)
        assert looks.seen == [B, A]

    run(test)
