"""What kopf's handlers do with what happens in the cluster, run as kopf runs them."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import kopf
import pytest

from strake_operator.handlers.queue import Key
from strake_operator.handlers.watch import register
from strake_operator.kube.watched import Watched

METADATA = {"name": "app", "namespace": "team", "generation": 1, "uid": "u"}
OWNED = {**METADATA, "annotations": {"strake.dev/imagebuild": "app"}, "labels": {"strake.dev/uid": "u"}}
BODIES: dict[str, Any] = {
    "imagebuilds": {"metadata": METADATA},
    "buildpolicies": {"metadata": {"name": "strict"}, "spec": {"maxRuns": 3}},
    "namespaces": {"metadata": {"name": "team"}},
    "jobs": {"metadata": OWNED, "spec": {}, "status": {}},
    "pods": {"metadata": OWNED, "spec": {}, "status": {}},
    "events": {"metadata": {"name": "e", "namespace": "team"}, "involvedObject": {}},
}


class Recorded:
    """A queue and places that note the thread in which they are used."""

    def __init__(self):
        self.threads: set[int] = set()
        self.added: list[Key] = []

    def add(self, key):
        self.threads.add(threading.get_ident())
        self.added.append(key)

    def changed(self):
        asyncio.get_running_loop()
        self.threads.add(threading.get_ident())


@pytest.mark.parametrize("plural", BODIES)
def test_handlers_run_in_the_event_loop(plural):
    registry, seen, watched = kopf.OperatorRegistry(), Recorded(), Watched()
    register(registry, kopf.OperatorSettings(), seen, watched, seen)  # type: ignore[arg-type] # as far as it goes
    (handler,) = (each for each in registry._watching.get_all_handlers() if plural in str(each.selector))
    assert asyncio.iscoroutinefunction(handler.fn), "kopf would run it in a thread"
    watched.builds.note(BODIES["imagebuilds"])
    event = {"type": "ADDED", "object": BODIES[plural]}
    asyncio.run(handler.fn(namespace="team", name="app", event=event))  # type: ignore[call-arg, arg-type] # what it reads
    assert seen.threads <= {threading.get_ident()}
    assert seen.added == ([Key("team", "app")] if plural in {"imagebuilds", "jobs", "pods"} else [])


def test_what_the_operator_wrote_itself_before_the_end_is_no_reason_to_look_again():
    registry, seen, watched = kopf.OperatorRegistry(), Recorded(), Watched()
    register(registry, kopf.OperatorSettings(), seen, watched, seen)  # type: ignore[arg-type] # as far as it goes
    (handler,) = (
        each for each in registry._watching.get_all_handlers() if "imagebuilds" in str(each.selector)
    )

    def happens(version, phase="Queued"):
        body = {"metadata": METADATA | {"resourceVersion": version}, "status": {"phase": phase}}
        event = {"type": "MODIFIED", "object": body}
        seen.added.clear()
        asyncio.run(handler.fn(namespace="team", name="app", event=event))  # type: ignore[call-arg, arg-type] # what it reads
        return bool(seen.added)

    def wrote(version, phase="Queued"):
        watched.builds.wrote(
            {"metadata": METADATA | {"resourceVersion": version}, "status": {"phase": phase}}
        )

    assert happens("1")
    wrote("2")
    assert not happens("2")
    assert happens("3"), "somebody else's change"
    wrote("5")
    assert not happens("4"), "an older one, of which the last write told"
    wrote("6", "Succeeded")
    assert happens("6", "Succeeded"), "its objects are to be removed after a time"


@pytest.mark.parametrize("plural", ["jobs", "pods"])
def test_what_is_left_of_a_build_that_is_gone_costs_no_read(plural):
    registry, seen, watched = kopf.OperatorRegistry(), Recorded(), Watched()
    register(registry, kopf.OperatorSettings(), seen, watched, seen)  # type: ignore[arg-type] # as far as it goes
    (handler,) = (each for each in registry._watching.get_all_handlers() if plural in str(each.selector))
    event = {"type": "DELETED", "object": BODIES[plural]}
    asyncio.run(handler.fn(namespace="team", name="app", event=event))  # type: ignore[call-arg, arg-type] # what it reads
    assert seen.added == []
