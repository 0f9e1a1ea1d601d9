"""A cluster that only records what it is asked for, and reconciles of one build on it."""

from __future__ import annotations

import asyncio
from typing import Any

from strake_api.status import ImageBuildStatus, Phase
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Key
from strake_operator.handlers.reconciler import Reconciler
from tests.unit.strake_operator.builders import (
    NOW,
    SETTINGS,
    build,
    no_log,
)

KEY = Key("team", "hello")
BUILD = build(ImageBuildStatus(observed_generation=1, phase=Phase.PENDING, job="hello-1", attempts=1))
"""One whose Job is `run()`."""


class Cluster:
    """A cluster that fails on request and remembers what was done to it."""

    def __init__(self, the_build=None, runs=(), **failures):
        self.the_build, self.found, self.failures = the_build or build(), tuple(runs), failures
        self.done: list[tuple[str, object]] = []
        self.status: Any = None
        self.reads = 0
        self.labels: dict[str, str] = {}
        self.made: list[str] = []
        self.messages: list[str] = []
        self.deleted: list[tuple[str | None, str | None]] = []

    def _do(self, what, detail=None):
        if (failure := self.failures.get(what)) is not None:
            raise failure
        self.done.append((what, detail))

    async def build(self, namespace, name):
        if isinstance(self.the_build, Exception):
            raise self.the_build
        return self.the_build

    async def namespace(self, name):
        return {"metadata": {"name": name, "labels": self.labels}}

    async def runs(self, _):
        self.reads += 1
        return self.found

    async def check_predecessors(self, _):
        self.reads += 1

    async def delete_pod(self, namespace, pod, uid):
        self._do("drop", pod)

    async def create(self, manifest):
        self._do("create", manifest["kind"])
        self.made.append(manifest["metadata"]["name"])
        return f"uid-of-{manifest['kind']}"

    async def delete_run(self, namespace, job, uid, request):
        self._do("delete", job)
        self.deleted.append((uid, request))

    async def write_status(self, _, status):
        self._do("status", status.phase)
        self.status = status

    async def announce(self, _build, kind, reason, message, moment):
        self._do("announce", (kind, reason))
        self.messages.append(message)


def reconcile(cluster, lines=None, watched=None):
    async def silent(namespace, pod):
        for line in lines or ():
            yield line

    async def test():
        progressed: list[Key] = []
        follower = Follower(silent)
        reconciler = Reconciler(
            cluster, follower, SETTINGS, lambda key, _: progressed.append(key), lambda: NOW, watched=watched
        )
        again = await reconciler.reconcile(KEY)
        for _ in range(10):
            await asyncio.sleep(0)  # the turn of the other tasks
        if progressed:
            again = await reconciler.reconcile(KEY)
        await follower.close()
        return again

    return asyncio.run(test())


def reconciler_of(cluster) -> Reconciler:
    """Return one that follows no log."""
    return Reconciler(cluster, Follower(no_log), SETTINGS, print, lambda: NOW)


def looked_at(reconciler, cluster, name="hello"):
    """Reconcile once, and take what was written for what is there."""
    again = asyncio.run(reconciler.reconcile(Key("team", name)))
    cluster.the_build = build(cluster.status or cluster.the_build.status, name=name)
    return again
