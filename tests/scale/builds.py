"""Many ImageBuilds: made, and watched until all have ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field

from strake_operator.names import BUILD_ANNOTATION, UID_LABEL
from tests.scale.api import BATCH, BUILDS, CORE, Api, ApiError, Object

Name = tuple[str, str]
"""Namespace and name."""
_AT_A_TIME = 40
BASELINE = {"pod-security.kubernetes.io/enforce": "baseline"}


def image_build(name: str) -> Object:
    """Return an ImageBuild as people write them."""
    return {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": name},
        "spec": {
            "source": {"git": {"url": "https://git.example.com/team/app.git", "revision": "refs/heads/main"}},
            "target": "release",
            "args": [{"name": "VERSION", "value": "1.2"}],
            "output": {"destinations": [f"registry.example/scale/{name}:1"]},
        },
    }


@dataclass
class Seen:
    """What was seen of builds, in seconds of the monotonic clock.

    Attributes:
        created: When the API server had taken an ImageBuild.
        job: When its first Job was seen.
        ended: When its status was final.
        jobs: How many Jobs it had.
        writes: How often its status was seen changed.
    """

    created: dict[Name, float] = field(default_factory=dict)
    job: dict[Name, float] = field(default_factory=dict)
    ended: dict[Name, float] = field(default_factory=dict)
    phases: dict[Name, str] = field(default_factory=dict)
    jobs: Counter[Name] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def until_job(self, names: list[Name]) -> list[float]:
        """Return the seconds from each ImageBuild to its Job, sorted."""
        return sorted(self.job[name] - self.created[name] for name in names if name in self.job)


class Builds:
    """ImageBuilds of a control plane.

    Args:
        api: Its API server.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self.seen = Seen()

    async def namespaces(self, names: list[str]) -> None:
        """Make namespaces that enforce Pod Security, and wait until pods may be made there."""
        await gather([self._namespace(name) for name in names])

    async def _namespace(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": BASELINE}}
        await self._api.create(f"{CORE}/namespaces", body)
        while True:
            try:
                await self._api.get(f"{CORE}/namespaces/{name}/serviceaccounts/default")
            except ApiError:
                await asyncio.sleep(0.2)  # between looks: it is made soon after its namespace
            else:
                return

    async def create(self, names: list[Name], *, per_second: float | None = None) -> None:
        """Make ImageBuilds, as fast as it goes or at a pace."""
        if per_second is None:
            await gather([self._create(name) for name in names])
            return
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                await asyncio.sleep(begun + number / per_second - time.monotonic())
                group.create_task(self._create(name))

    async def _create(self, name: Name) -> None:
        await self._api.create(f"{BUILDS}/namespaces/{name[0]}/imagebuilds", image_build(name[1]))
        self.seen.created[name] = time.monotonic()

    @contextlib.asynccontextmanager
    async def watched(self):
        """Watch ImageBuilds and Jobs for as long as the context lasts; a watch that fails ends it."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._watch_builds()), group.create_task(self._watch_jobs())]
            yield self
            for task in tasks:
                task.cancel()

    async def _watch_builds(self) -> None:
        while True:
            async for kind, build in self._api.watch(f"{BUILDS}/imagebuilds"):
                if kind in {"BOOKMARK", "ERROR"}:
                    continue
                name = build["metadata"]["namespace"], build["metadata"]["name"]
                phase = (build.get("status") or {}).get("phase") or ""
                self.seen.phases[name] = phase
                if phase in {"Succeeded", "Failed"} and name not in self.seen.ended:
                    self.seen.ended[name] = time.monotonic()
                self.seen.changed.set()

    async def _watch_jobs(self) -> None:
        while True:
            async for kind, job in self._api.watch(
                f"{BATCH}/jobs", metadata_only=True, labelSelector=UID_LABEL
            ):
                if kind != "ADDED":
                    continue
                metadata = job["metadata"]
                name = metadata["namespace"], metadata["annotations"][BUILD_ANNOTATION]
                self.seen.jobs[name] += 1
                self.seen.job.setdefault(name, time.monotonic())
                self.seen.changed.set()

    async def wait(self, names: list[Name], *, seconds: float) -> None:
        """Wait until builds have ended.

        Raises:
            TimeoutError: Some have not; the message says in which phases they are.
        """
        try:
            async with asyncio.timeout(seconds):
                while any(name not in self.seen.ended for name in names):
                    self.seen.changed.clear()
                    await self.seen.changed.wait()
                    await asyncio.sleep(0.05)  # or each event would have all names looked through
        except TimeoutError:
            phases = Counter(self.seen.phases.get(name, "unseen") for name in names)
            raise TimeoutError(f"not ended after {seconds:.0f} s: {dict(phases)}") from None


async def gather(tasks: list) -> None:
    """Run tasks, so many at a time."""
    turn = asyncio.Semaphore(_AT_A_TIME)

    async def one(task) -> None:
        async with turn:
            await task

    await asyncio.gather(*map(one, tasks))
