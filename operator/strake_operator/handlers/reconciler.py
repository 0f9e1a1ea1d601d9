"""One look at one build: read the cluster, decide, act, write the status."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strake_api.status import Phase
from strake_operator.errors import NotFoundError, RefusedError
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_config_map
from strake_operator.reconcile.decide import Decision, StartRun, StopRun, decide, refused
from strake_operator.reconcile.observed import InvalidSpec, Observation, Running
from strake_operator.status import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_api.status import ImageBuildStatus
    from strake_operator.handlers.follower import Follower
    from strake_operator.handlers.queue import Key
    from strake_operator.kube.cluster import Cluster
    from strake_operator.reconcile.observed import Build, BuilderRun
    from strake_operator.reconcile.progress import Progress
    from strake_operator.registries.source import RegistriesSource
    from strake_operator.settings import Settings

logger = logging.getLogger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Brings builds to where their specs want them.

    Args:
        cluster: Where the builds are.
        follower: Knows the progress of running builders.
        settings: The platform's settings.
        progressed: Called with a build's key when its log shows progress.
        clock: The present, in UTC.
        registries: How runs that start now reach registries; None goes by the settings.
    """

    def __init__(
        self,
        cluster: Cluster,
        follower: Follower,
        settings: Settings,
        progressed: Callable[[Key], None],
        clock: Callable[[], datetime] = _utc_now,
        *,
        registries: RegistriesSource | None = None,
    ) -> None:
        self._cluster = cluster
        self._follower = follower
        self._settings = settings
        self._progressed = progressed
        self._clock = clock
        self._registries = registries

    async def look(self, key: Key) -> float | None:
        """Look at a build once; return after how many seconds to look again, if at all.

        Raises:
            ClusterError: The API server did not do what was asked; look again later.
        """
        try:
            build = await self._cluster.build(key.namespace, key.name)
        except NotFoundError:
            return None
        runs = await self._cluster.runs(build)
        seen = Observation(build, runs, self._follow(key, build, runs))
        decision = decide(seen, self._settings, self._clock())
        try:
            await self._act(build, decision)
        except RefusedError as error:
            decision = refused(seen, decision.status, str(error), self._clock())
        if decision.status != build.status:
            await self._cluster.write_status(build, decision.status)
            await self._announce(build, decision.status)
        return decision.look_again

    def _follow(self, key: Key, build: Build, runs: tuple[BuilderRun, ...]) -> Progress | None:
        progress = None
        for run in runs:
            if run.pod is None:
                continue
            if isinstance(run.pod.container, Running):
                self._follower.follow(build.namespace, run.pod.name, lambda: self._progressed(key))
                progress = self._follower.progress(build.namespace, run.pod.name)
            else:
                self._follower.forget(build.namespace, run.pod.name)
        return progress

    async def _act(self, build: Build, decision: Decision) -> None:
        for action in decision.actions:
            match action:
                case StartRun():
                    await self._start(build, action)
                case StopRun():
                    logger.info("ImageBuild %s/%s: stopping Job %s", build.namespace, build.name, action.job)
                    await self._cluster.delete_run(build.namespace, action.job)

    async def _start(self, build: Build, action: StartRun) -> None:
        if isinstance(build.spec, InvalidSpec):
            return
        run = RunIdentity(
            build.namespace, build.name, build.uid, action.generation, action.attempt, action.job
        )
        logger.info("ImageBuild %s/%s: starting Job %s", build.namespace, build.name, action.job)
        settings = self._settings
        if self._registries is not None:
            settings = replace(settings, registries=self._registries.current())
        await self._cluster.create(request_config_map(run, build.spec, settings))
        await self._cluster.create(builder_job(run, build.spec, settings))

    async def _announce(self, build: Build, status: ImageBuildStatus) -> None:
        before = build.status
        moment = timestamp(self._clock())
        if status.job and (status.job, status.observed_generation) != (
            before.job,
            before.observed_generation,
        ):
            await self._cluster.announce(build, "Normal", "Started", f"started Job {status.job}", moment)
        if (status.phase, status.observed_generation) == (before.phase, before.observed_generation):
            return
        if status.phase is Phase.SUCCEEDED:
            message = f"pushed {status.image} in {status.duration}"
            await self._cluster.announce(build, "Normal", "Pushed", message, moment)
        elif status.phase is Phase.FAILED and status.failure is not None:
            where = f" (line {status.failure.line})" if status.failure.line else ""
            await self._cluster.announce(
                build, "Warning", status.failure.reason, status.failure.message + where, moment
            )
