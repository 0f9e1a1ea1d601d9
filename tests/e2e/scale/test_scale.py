"""Hundreds of builds at once on a real API server: each runs once, with a bounded number of requests."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.e2e.builds import until
from tests.scale.api import Api
from tests.scale.builds import Builds
from tests.scale.control_plane import control_plane, stub_kubelet
from tests.scale.kubelet import pods_of
from tests.scale.operator import by_kind, operator, requests

NAMESPACES = [f"team-{number}" for number in range(10)]
NAMES = [(NAMESPACES[number % 10], f"app-{number}") for number in range(200)]
SECONDS = 300
"""For all of it, on a busy machine."""


@pytest.fixture(scope="module")
def plane():
    with control_plane() as made, stub_kubelet(made, seconds=0.5):
        yield made


async def built(plane) -> Builds:
    """Make all builds; return when all have ended."""
    async with Api(plane.url, plane.token) as api:
        builds = Builds(api)
        await builds.namespaces(NAMESPACES)
        async with builds.watched():
            await builds.create(NAMES)
            await builds.wait(NAMES, seconds=SECONDS)
        return builds


def events(plane) -> int:
    return by_kind(requests(plane))["create events"]


def test_each_of_many_builds_runs_once_with_few_requests(plane):
    with operator(plane, STRAKE_MAX_RUNS="20", STRAKE_MAX_RUNS_PER_NAMESPACE="5"):
        seen = asyncio.run(built(plane)).seen
        until(
            lambda: events(plane) >= 2 * len(NAMES),
            "the events, which come after the status",
            lambda: events(plane),
        )
        found = requests(plane)
    assert Counter(seen.phases.values()) == {"Succeeded": len(NAMES)}
    assert seen.jobs == dict.fromkeys(NAMES, 1)
    ran = pods_of((plane.directory / "kubelet.log").read_text())
    assert ran == dict.fromkeys(NAMES, 1), "a pod for each, and no second"

    kinds, each = by_kind(found), len(NAMES)
    assert kinds["create jobs"] == kinds["create configmaps"] == each
    assert kinds["create events"] == 2 * each
    assert kinds["patch imagebuilds/status"] <= 8 * each
    of_builds = sum(count for kind, count in kinds.items() if not kind.startswith("watch"))
    assert of_builds <= 16 * each, kinds
    writes = Counter((one.namespace, one.name) for one in found if one.resource == "imagebuilds/status")
    assert max(writes.values()) <= 10
