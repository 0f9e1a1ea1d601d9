"""Which events are delivered: each end of a run once, over restarts, and none from before anybody asked."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from strake_api.status import ImageBuildStatus
from strake_operator.errors import NotFoundError
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.outside.hearers import Outside
from strake_operator.handlers.outside.outbox import Outbox
from strake_operator.handlers.queue import Key
from strake_operator.handlers.reconciler import Reconciler
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


class Delivery:
    """Takes events, and delivers them when the test says so."""

    def __init__(self, room=100):
        self.taken, self.room = {}, room

    def offer(self, event, ended, done):
        if event.id not in self.taken and len(self.taken) >= self.room:
            return False
        self.taken[event.id] = (event, done)
        return True

    def arrive(self):
        for _, done in self.taken.values():
            done()
        self.taken.clear()

    @property
    def told(self):
        return [json.loads(event.body) for event, _ in self.taken.values()]


class Operator:
    """An operator's process on a cluster, with what it is asked to reconcile again."""

    def __init__(self, cluster, delivery=None):
        self.cluster: Any = cluster
        self.delivery: Any = delivery or Delivery()
        self.again: list[tuple[Key, float]] = []
        takes: Any = self.delivery
        self.outbox = Outbox(takes, "/", lambda key, seconds: self.again.append((key, seconds)))
        self.reconciler = Reconciler(
            cluster, Follower(no_log), SETTINGS, print, lambda: NOW, outside=Outside(self.outbox)
        )

    def reconcile(self):
        asyncio.run(self.reconciler.reconcile(KEY))
        if self.cluster.status is not None and not isinstance(self.cluster.the_build, Exception):
            self.cluster.the_build = replace(self.cluster.the_build, status=self.cluster.status)


def finished(result):
    return Cluster(BUILD, runs=[run(pod=pod(ended(result.to_json())))])


def test_the_end_of_a_run_is_told_and_then_forgotten():
    operator = Operator(finished(SUCCESS))
    operator.reconcile()
    (told,) = operator.delivery.told
    assert told["type"] == "dev.strake.imagebuild.succeeded"
    assert told["data"]["image"] == operator.cluster.status.image
    assert operator.cluster.status.undelivered == (1,)
    operator.delivery.arrive()
    assert operator.again == [(KEY, 0.0)]
    operator.reconcile()
    assert operator.cluster.status.undelivered is None
    assert operator.delivery.told == []


def test_the_number_is_written_with_the_end_and_not_after_it():
    operator = Operator(finished(FAILURE))
    operator.reconcile()
    assert [what for what, _ in operator.cluster.done].count("status") == 1
    assert operator.cluster.status.undelivered == (1,)


def test_an_operator_that_takes_over_tells_the_same():
    first = Operator(finished(FAILURE))
    first.reconcile()
    second = Operator(first.cluster)
    second.reconcile()
    assert second.delivery.told == first.delivery.told
    assert first.cluster.done[-1][0] != "status", "and it writes nothing before that"


def test_a_delivery_that_was_not_written_down_is_written_down_later():
    operator = Operator(finished(FAILURE))
    operator.reconcile()
    operator.delivery.arrive()
    operator.cluster.failures["status"] = RuntimeError("no answer")
    with pytest.raises(RuntimeError):
        operator.reconcile()
    operator.cluster.failures.clear()
    operator.reconcile()
    assert operator.cluster.status.undelivered is None
    assert operator.delivery.told == []


def test_a_run_that_ended_before_anybody_asked_is_not_told():
    cluster = finished(SUCCESS)
    reconciler = Reconciler(cluster, Follower(no_log), SETTINGS, print, lambda: NOW)
    asyncio.run(reconciler.reconcile(KEY))
    cluster.the_build = replace(cluster.the_build, status=cluster.status)
    operator = Operator(cluster)
    operator.reconcile()
    assert operator.delivery.told == []


def test_a_run_whose_place_another_takes_is_told_as_cancelled():
    cluster = Cluster(replace(BUILD, rerun="again"), runs=[run()])
    operator = Operator(cluster)
    operator.reconcile()
    (told,) = operator.delivery.told
    assert (told["type"], told["data"]["reason"]) == ("dev.strake.imagebuild.cancelled", "Superseded")
    assert cluster.status.run.number == 2
    assert cluster.status.undelivered == (1,), "it stays there while the next run goes on"


def test_what_finds_no_room_is_offered_again_later():
    operator = Operator(finished(FAILURE), Delivery(room=0))
    operator.reconcile()
    assert operator.again == [(KEY, 60.0)]
    assert operator.cluster.status.undelivered == (1,)


def test_an_event_of_a_build_that_is_gone_leaves_nothing_behind():
    operator = Operator(finished(FAILURE))
    operator.reconcile()
    operator.cluster.the_build = NotFoundError("gone")
    operator.delivery.arrive()
    operator.reconcile()
    assert operator.outbox._delivered == {}


def test_a_build_of_the_same_name_has_events_of_its_own():
    operator = Operator(finished(FAILURE))
    operator.reconcile()
    operator.delivery.arrive()
    again = replace(build(), uid="another-uid", status=ImageBuildStatus(undelivered=(1,)))
    assert operator.outbox.status_to_write(KEY, again, operator.cluster.status).undelivered == (1,)


def test_numbers_that_somebody_wrote_by_hand_tell_nothing():
    cluster = finished(FAILURE)
    cluster.the_build = replace(BUILD, status=BUILD.status.model_copy(update={"undelivered": (7, -1)}))
    operator = Operator(cluster)
    operator.reconcile()
    assert cluster.status.undelivered == (1,)
