"""The places of runs: counted from Jobs, reserved at once, and given to who is next."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from strake_operator.handlers.queue import Key
from strake_operator.handlers.slots import WAKE_SECONDS, Slots
from strake_operator.reconcile.admission.admit import Limits, Waiting
from tests.unit.strake_operator.builders import NOW


class Scene:
    """Places of a cluster in which a test says what runs."""

    def __init__(self, cluster=1, namespace=None):
        self.running: set[tuple[str, str]] = set()
        self.woken: list[Key] = []
        self.limits = Limits(cluster, namespace)
        self.slots = Slots(lambda: self.limits, lambda: self.running, self.woken.append)

    def comes(self, name, namespace="team", seconds=0):
        """Ask for a place, as a reconcile does; return whether the run starts."""
        one = Waiting(namespace, name, NOW + timedelta(seconds=seconds))
        place = self.slots.admission(one)
        if place.admitted:
            self.slots.take(Key(namespace, name))
        else:
            self.slots.waits(one)
        return place


def of(scenario):
    return asyncio.run(scenario())


def test_a_place_is_reserved_before_its_job_is_there():
    async def scenario():
        scene = Scene()
        assert scene.comes("first").admitted
        second = scene.comes("second")
        assert (second.admitted, second.position, second.limit) == (False, 1, "ClusterLimit")
        assert second.words == "1 of 1 runs of the cluster go on"
        scene.running.add(("team", "first"))
        scene.slots.release(Key("team", "first"))
        assert not scene.comes("second").admitted

    of(scenario)


def test_a_run_in_parts_has_its_place_also_between_two_jobs():
    async def scenario():
        scene = Scene()
        assert scene.comes("first").admitted
        scene.slots.holds(Key("team", "first"), held=True)
        scene.slots.release(Key("team", "first"))
        assert not scene.comes("second").admitted
        assert scene.comes("first").admitted, "of the same run"
        scene.slots.holds(Key("team", "first"), held=False)
        scene.slots.release(Key("team", "first"))
        await asyncio.sleep(2 * WAKE_SECONDS)  # in which those who may start are woken
        assert scene.woken == [Key("team", "second")]

    of(scenario)


def test_the_next_one_is_woken_when_a_run_ends():
    async def scenario():
        scene = Scene()
        scene.running.add(("team", "first"))
        for name, seconds in (("third", 9), ("second", 5)):
            scene.comes(name, seconds=seconds)
        scene.slots.changed()
        await asyncio.sleep(2 * WAKE_SECONDS)
        assert scene.woken == []
        scene.running.clear()
        scene.slots.changed()
        scene.slots.changed()
        await asyncio.sleep(2 * WAKE_SECONDS)  # in which those who may start are woken
        assert scene.woken == [Key("team", "second")]
        assert not scene.comes("fourth", seconds=20).admitted, "it does not overtake"
        assert scene.comes("second", seconds=5).admitted

    of(scenario)


def test_one_that_does_not_come_to_start_leaves_its_turn_to_the_next():
    async def scenario():
        scene = Scene()
        scene.running.add(("team", "first"))
        scene.comes("second")
        scene.comes("third", seconds=1)
        scene.running.clear()
        scene.slots.leaves(Key("team", "second"))
        await asyncio.sleep(2 * WAKE_SECONDS)  # in which those who may start are woken
        assert scene.woken == [Key("team", "third")]

    of(scenario)


def test_a_full_namespace_is_told_so_and_others_start():
    async def scenario():
        scene = Scene(cluster=9, namespace=1)
        scene.running.add(("team", "first"))
        second = scene.comes("second")
        assert (second.admitted, second.limit) == (False, "NamespaceLimit")
        assert second.words == "1 of 1 runs of namespace team go on"
        assert scene.comes("x", "other").admitted

    of(scenario)


def test_a_build_with_a_job_of_its_own_need_not_wait_for_itself():
    async def scenario():
        scene = Scene()
        scene.running.add(("team", "first"))
        assert scene.comes("first").admitted

    of(scenario)


def test_positions_are_those_of_the_starts():
    async def scenario():
        scene = Scene()
        scene.running.add(("team", "first"))
        scene.comes("second")
        scene.comes("b", "other", seconds=50)
        positions = [
            scene.slots.admission(Waiting(*name, NOW)).position for name in (("other", "b"), ("x", "new"))
        ]
        assert positions == [2, 3], "as it was a moment ago; a new one is the last"

    of(scenario)


def test_what_one_is_told_that_waits_stays_for_a_while():
    """Each change would be a write, and with it an event that has the build looked at again."""

    async def scenario():
        scene = Scene()
        scene.running.add(("team", "first"))
        told = scene.comes("second", seconds=5)
        scene.slots._looked = float("-inf")
        scene.comes("earlier")
        assert scene.comes("second", seconds=5) == told
        scene.slots._told.clear()
        scene.slots._looked = float("-inf")
        assert scene.comes("second", seconds=5).position == 2

    of(scenario)
