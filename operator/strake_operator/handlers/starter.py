"""Makes the objects of a run: its ConfigMap and its Job, each once, and remembers what this process made."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from strake_api.status import CreatedObjects
from strake_operator.errors import ClusterError, ExistsError, ForeignError
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_config_map
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.status.conditions import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from strake_api.status import CurrentRun, ImageBuildStatus
    from strake_operator.handlers.queue import Key
    from strake_operator.kube.cluster import Cluster
    from strake_operator.kube.watched import Watched
    from strake_operator.manifests.objects import Manifest
    from strake_operator.reconcile.decision import StartRun
    from strake_operator.reconcile.observed import Build
    from strake_operator.registries.source import RegistriesSource
    from strake_operator.settings.environment import Settings

logger = logging.getLogger(__name__)


class Starter:
    """Starts runs.

    Args:
        cluster: Where they are.
        clock: The present, in UTC.
        registries: How runs that start now reach registries; None goes by the settings.
        watched: What the watches know, if there are any.
    """

    def __init__(
        self,
        cluster: Cluster,
        clock: Callable[[], datetime],
        *,
        registries: RegistriesSource | None,
        watched: Watched | None,
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._registries = registries
        self._watched = watched
        self._made: dict[Key, dict[str, CreatedObjects]] = {}

    def made(self, key: Key) -> set[str]:
        """Return the UIDs of the Jobs that this process made for a build."""
        return {each.job for each in self._made.get(key, {}).values()}

    def forget(self, key: Key) -> None:
        """Forget a build that is gone."""
        self._made.pop(key, None)

    def with_created(self, key: Key, status: ImageBuildStatus) -> ImageBuildStatus:
        """Return a status with the UIDs of the run that it names, if this process made it."""
        made = self._made.get(key, {})
        parts = status.parts and tuple(
            each.model_copy(update={"created": made[each.job]}) if each.job in made else each
            for each in status.parts
        )
        if parts != status.parts:
            status = status.model_copy(update={"parts": parts})
        own = made.get(status.job or "")
        return status if own is None else status.model_copy(update={"created": own})

    async def start(
        self, key: Key, build: Build, action: StartRun, current: CurrentRun | None, settings: Settings
    ) -> None:
        """Make the objects of a run.

        Args:
            key: The build's.
            build: What is built.
            action: What was decided.
            current: The run, as the status has it.
            settings: The platform's, as the policies of the namespace change them.

        Raises:
            ForeignError: Somebody else made a Job of its name.
            ClusterError: The API server did not make them; nothing is left of what it made.
        """
        if isinstance(build.spec, InvalidSpec):
            return
        run = RunIdentity(
            build.namespace,
            build.name,
            build.uid,
            action.number,
            action.attempt,
            action.job,
            action.form,
            action.why,
            action.bases,
            action.plain,
            build.generation if current is None else current.generation,
            build.queue,
            action.part,
        )
        why = f" ({action.why})" if action.why else ""
        logger.info("ImageBuild %s/%s: starting Job %s%s", build.namespace, build.name, action.job, why)
        if self._registries is not None:
            settings = replace(settings, registries=self._registries.current())
        try:
            request_uid = await self._cluster.create(request_config_map(run, build.spec, settings))
        except ExistsError:
            # The operator's own, if it was stopped before it made the Job; whose it is the builder finds out.
            request_uid = None
        job = builder_job(run, build.spec, settings, request_uid=request_uid)
        try:
            job_uid = await self._create_job(build, job)
        except ClusterError:
            # What is decided next may have another content.
            with contextlib.suppress(ClusterError):
                await self._cluster.delete_run(build.namespace, action.job, None, request_uid)
            raise
        if self._watched is not None:
            self._watched.job(_as_created(job, job_uid, self._clock()))
        made = self._made.setdefault(key, {})
        made[action.job] = CreatedObjects(job=job_uid, request=request_uid)

    async def _create_job(self, build: Build, job: Manifest) -> str:
        """Create a Job, or find it made already; return its UID."""
        try:
            return await self._cluster.create(job)
        except ExistsError as error:
            if (uid := await self._cluster.same_job(job, build)) is not None:
                return uid
            name = job["metadata"]["name"]
            raise ForeignError(
                f"Job {name} is there already, and Strake did not make it: somebody in namespace "
                f"{build.namespace} took the name of this build's Job. Delete it, see who may create Jobs "
                "there, then give the annotation strake.dev/rerun a new value"
            ) from error


def _as_created(job: Manifest, uid: str, now: datetime) -> Manifest:
    """Return a Job as the watches are about to tell of it: it has its slot from now on."""
    return {**job, "metadata": {**job["metadata"], "uid": uid, "creationTimestamp": timestamp(now)}}
