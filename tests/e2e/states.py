"""Builds in every state, for what happens to a cluster meanwhile: all are right afterwards, and none was built twice."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator

from strake_operator.names import BUILD_ANNOTATION
from tests.cluster.objects import apply, read
from tests.e2e.builds import UID, building, finished, gated, manifest, status_of, until

QUICK = "FROM TINY\nRUN true\n"
BRIEF = "FROM TINY\nRUN sleep 1\n"
PHASES = ("Pending", "Fetching", "Pulling", "Building", "Pushing", "Succeeded")


@contextlib.contextmanager
def builds_in_each_state(namespace: str) -> Iterator[None]:
    """Have a fault happen to a build that ended, to one in a step and to one that begins."""
    apply(manifest(QUICK, name="ended"), namespace)
    before = finished(namespace, name="ended")
    text, open_gate = gated(namespace)
    apply(manifest(text, name="goes-on"), namespace)
    building(namespace, "until wget", "goes-on")
    apply(manifest(QUICK, name="begins"), namespace)
    yield
    open_gate()
    status = finished(namespace, name="goes-on")
    assert (status["phase"], status["attempts"]) == ("Succeeded", 1), status
    assert finished(namespace, name="begins")["phase"] == "Succeeded"
    assert status_of(namespace, "ended") == before
    assert runs(namespace) == {"ended": 1, "goes-on": 1, "begins": 1}


def runs(namespace: str) -> Counter[str]:
    """Return how many Jobs each ImageBuild has."""
    items = read("jobs", namespace, labels=UID)["items"]
    return Counter(each["metadata"]["annotations"][BUILD_ANNOTATION] for each in items)


def _reach(namespace: str, name: str, phase: str) -> None:
    """Wait until a build is in a phase, or in a later one: some take milliseconds."""
    phases = PHASES[PHASES.index(phase) :]

    def reached() -> bool:
        return status_of(namespace, name).get("phase") in phases

    until(reached, f"{name} in the phase {phase}", lambda: status_of(namespace, name))


def in_each_phase(namespace: str, fault: Callable[[], None], times: int) -> None:
    """Make builds, one after the other; have a fault happen when each has come to the next phase."""
    names = [f"b{number}" for number in range(times)]
    for name, phase in zip(names, itertools.cycle(PHASES), strict=False):
        apply(manifest(BRIEF, name=name), namespace)
        _reach(namespace, name, phase)
        fault()
    for name in names:
        status = finished(namespace, name=name)
        assert (status["phase"], status["attempts"]) == ("Succeeded", 1), status
    assert runs(namespace) == dict.fromkeys(names, 1)
