"""Reads and changes the cluster through the API server, with the operator's own errors."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

# By their own names: the library imports each at its first use, some 270 modules in two seconds of processor.
# An operator that acts already would not renew its Lease meanwhile.
from kubernetes.aio.client import (
    ApiClient,
    BatchV1Api,
    CoreV1Api,
    CustomObjectsApi,
    V1DeleteOptions,
    V1Preconditions,
)

from strake_api.models.document import API_VERSION, GROUP, VERSION
from strake_operator.errors import ClusterError, ConflictError, NotFoundError, RefusedError, UndeletedError
from strake_operator.kube.answers import api_errors
from strake_operator.kube.owners import is_controlled_by
from strake_operator.kube.reading import read_build, read_run
from strake_operator.kube.streams import abort, whole_lines
from strake_operator.names import CONTAINER, UID_LABEL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from strake_api.status import ImageBuildStatus
    from strake_operator.kube.reading import Object
    from strake_operator.kube.watched import Watched
    from strake_operator.reconcile.observed import Build, BuilderRun

logger = logging.getLogger(__name__)

PLURAL = "imagebuilds"
POLICIES = "buildpolicies"
_REQUEST_SECONDS = 30.0
_PAGE = 200
# A log is read over one connection for so long, then over another: the library's own limit is 5 minutes.
LOG_SECONDS = 1800.0
_GIVEN_LABELS = {
    f"{prefix}{name}" for prefix in ("", "batch.kubernetes.io/") for name in ("controller-uid", "job-name")
}


class Cluster:
    """The cluster, through one connection pool.

    Args:
        api: The connections.
        watched: What the watches know.
        log_seconds: How long a log is read over one connection.
    """

    def __init__(self, api: ApiClient, watched: Watched, *, log_seconds: float = LOG_SECONDS) -> None:
        self._api = api
        self._watched = watched
        self._log_seconds = log_seconds
        self._builds = CustomObjectsApi(api)
        self._jobs = BatchV1Api(api)
        self._core = CoreV1Api(api)

    async def build(self, namespace: str, name: str) -> Build:
        """Return an ImageBuild as it is now.

        Raises:
            NotFoundError: There is none of this name.
        """
        with api_errors(f"reading ImageBuild {namespace}/{name}"):
            body: Any = await self._builds.get_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, name, _request_timeout=_REQUEST_SECONDS
            )
        self._watched.builds.note(body)
        return read_build(body)

    async def runs(self, build: Build) -> tuple[BuilderRun, ...]:
        """Return the Jobs of an ImageBuild with their pods, as they are now."""
        selector = f"{UID_LABEL}={build.uid}"
        with api_errors(f"reading the Jobs of ImageBuild {build.namespace}/{build.name}"):
            jobs = await self._list(self._jobs.list_namespaced_job, build.namespace, label_selector=selector)
            pods: list[Object] = []
            if jobs:  # a pod without its Job is nobody's
                pods = await self._list(
                    self._core.list_namespaced_pod, build.namespace, label_selector=selector
                )
        self._watched.replace(build, jobs, pods)
        problems = self._watched.problems
        found = [read_run(job, pods, build, problems(build.namespace, job, pods)) for job in jobs]
        return tuple(run for run in found if run is not None)

    async def find_jobs(self) -> None:
        """See which Jobs of builds go on, in all namespaces: before the watches tell, nothing may start."""
        more: Any = {}
        while True:
            with api_errors("reading the Jobs of all builds"):
                answer = await self._jobs.list_job_for_all_namespaces(
                    label_selector=UID_LABEL, limit=_PAGE, _request_timeout=_REQUEST_SECONDS, **more
                )
            self._watched.found_at_start(self._api.sanitize_for_serialization(answer.items))  # type: ignore[no-untyped-call] # the library's
            if not (following := answer.metadata and answer.metadata._continue):  # noqa: SLF001 - the library's name for it
                return
            more = {"_continue": following}

    async def find_policies(self) -> None:
        """See which BuildPolicies and namespaces there are, before a build starts that they may forbid."""
        found: Any = {"items": ()}
        try:
            with api_errors("reading the BuildPolicies"):
                found = await self._builds.list_cluster_custom_object(
                    GROUP, VERSION, POLICIES, _request_timeout=_REQUEST_SECONDS
                )
        except NotFoundError:
            # Without the definition nobody has written one.
            logger.warning("this cluster knows no BuildPolicy: apply crds/ to have policies")
        with api_errors("reading the namespaces"):
            answer = await self._core.list_namespace(_request_timeout=_REQUEST_SECONDS)
        for namespace in self._api.sanitize_for_serialization(answer.items):  # type: ignore[no-untyped-call] # the library's
            self._watched.policies.namespace(namespace)
        for policy in found["items"]:
            self._watched.policies.policy(policy)

    async def namespace(self, name: str) -> Object:
        """Return a namespace, of which no watch has told yet.

        Raises:
            NotFoundError: It is gone.
        """
        with api_errors(f"reading namespace {name}"):
            answer = await self._core.read_namespace(name, _request_timeout=_REQUEST_SECONDS)
        body: Object = self._api.sanitize_for_serialization(answer)  # type: ignore[no-untyped-call] # the library's
        return body

    async def check_predecessors(self, build: Build) -> None:
        """See which pods of a deleted ImageBuild of this name are there: a watch may miss their end."""
        with api_errors(f"reading the builder pods of namespace {build.namespace}"):
            pods = await self._list(
                self._core.list_namespaced_pod, build.namespace, label_selector=f"{UID_LABEL}!={build.uid}"
            )
        self._watched.keep_predecessors(build, [pod["metadata"]["name"] for pod in pods])

    async def _list(self, method: Any, namespace: str, **arguments: Any) -> list[Object]:
        answer = await method(namespace, _request_timeout=_REQUEST_SECONDS, **arguments)
        items: list[Object] = self._api.sanitize_for_serialization(answer.items)  # type: ignore[no-untyped-call] # the library's
        return items

    async def create(self, manifest: Object) -> str:
        """Create a ConfigMap or a Job; return its UID.

        Raises:
            ExistsError: There is one of its name.
            RefusedError: The API server will not take it.
        """
        created = await self._create(manifest)
        uid: str = created.metadata.uid
        return uid

    async def _create(self, manifest: Object, **arguments: Any) -> Any:
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        method: Any = {
            "ConfigMap": self._core.create_namespaced_config_map,
            "Job": self._jobs.create_namespaced_job,
        }[manifest["kind"]]
        with api_errors(f"creating {manifest['kind']} {namespace}/{name}"):
            return await method(namespace, manifest, _request_timeout=_REQUEST_SECONDS, **arguments)

    async def same_job(self, manifest: Object, build: Build) -> str | None:
        """Return the UID of the Job of a manifest's name, if it is what the manifest makes.

        An operator that was stopped before it wrote down what it made finds that again. Whatever rules of the
        cluster add to a Job they add to the one that it is compared with.

        Raises:
            ClusterError: It is being deleted: the name is free in a while.
        """
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        with api_errors(f"reading Job {namespace}/{name}"):
            found = await self._list(
                self._jobs.list_namespaced_job, namespace, field_selector=f"metadata.name={name}"
            )
        if not found:
            raise ClusterError(f"Job {namespace}/{name} was there a moment ago, and is gone")
        there = found[0]
        if "deletionTimestamp" in there["metadata"]:
            raise ClusterError(f"Job {namespace}/{name}, which was there before, is being deleted")
        if not is_controlled_by(there, "ImageBuild", build.uid):
            return None
        trial = {**manifest, "metadata": {**manifest["metadata"], "name": f"{name}-trial"}}
        made = self._api.sanitize_for_serialization(await self._create(trial, dry_run="All"))  # type: ignore[no-untyped-call] # the library's
        uid: str = there["metadata"]["uid"]
        return uid if job_content(there) == job_content(made) else None

    async def delete_pod(self, namespace: str, pod: str, uid: str | None) -> None:
        """Delete a pod of a UID without waiting for its node; one that is gone already is fine.

        Raises:
            UndeletedError: A rule of the cluster keeps it.
        """
        if uid is not None:
            await self._delete(self._core.delete_namespaced_pod, namespace, pod, uid, grace_period_seconds=0)

    async def delete_run(self, namespace: str, job: str, uid: str | None, request: str | None) -> None:
        """Delete a Job and its ConfigMap, of which those without a UID are left alone.

        The Job goes when its pod is gone; what is gone already, or is another object by now, is fine.

        Raises:
            UndeletedError: A rule of the cluster keeps one of them.
        """
        if uid is not None:
            foreground = {"propagation_policy": "Foreground"}
            await self._delete(self._jobs.delete_namespaced_job, namespace, job, uid, **foreground)
        if request is not None:
            await self._delete(self._core.delete_namespaced_config_map, namespace, job, request)

    async def _delete(self, method: Any, namespace: str, name: str, uid: str, **options: Any) -> None:
        body = V1DeleteOptions(preconditions=V1Preconditions(uid=uid), **options)
        try:
            with api_errors(f"deleting {namespace}/{name}"):
                await method(name, namespace, body=body, _request_timeout=_REQUEST_SECONDS)
        except (NotFoundError, ConflictError):
            return
        except RefusedError as error:
            raise UndeletedError(str(error)) from error

    async def write_status(self, build: Build, status: ImageBuildStatus) -> None:
        """Replace an ImageBuild's status.

        Raises:
            ConflictError: The ImageBuild changed since it was read.
            NotFoundError: It is gone.
        """
        # Nulls are written out: a merge patch removes only what it names.
        patch = {
            "metadata": {"resourceVersion": build.resource_version},
            "status": status.model_dump(mode="json", by_alias=True),
        }
        with api_errors(f"writing the status of ImageBuild {build.namespace}/{build.name}"):
            written: Any = await self._builds.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                build.namespace,
                PLURAL,
                build.name,
                patch,
                _content_type="application/merge-patch+json",
                _request_timeout=_REQUEST_SECONDS,
            )
        self._watched.builds.wrote(written)

    async def announce(self, build: Build, kind: str, reason: str, message: str, moment: str) -> None:
        """Post a Kubernetes Event about an ImageBuild (`kubectl describe` shows it)."""
        event: Any = {
            "metadata": {"generateName": f"{build.name[:200]}.", "namespace": build.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": "ImageBuild",
                "name": build.name,
                "namespace": build.namespace,
                "uid": build.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "source": {"component": "strake-operator"},
            "reportingComponent": "strake-operator",
        }
        with api_errors(f"posting an event about {build.namespace}/{build.name}"):
            await self._core.create_namespaced_event(
                build.namespace, event, _request_timeout=_REQUEST_SECONDS
            )

    async def log_lines(self, namespace: str, pod: str) -> AsyncGenerator[bytes]:
        """Yield the lines of a builder's log, from its start, until the builder ends.

        Each begins with the time at which it was written, to the nanosecond, and a space.

        Raises:
            ClusterError: The log cannot be read (any more).
        """
        with api_errors(f"following the log of pod {namespace}/{pod}"):
            response = await self._core.read_namespaced_pod_log_without_preload_content(
                pod,
                namespace,
                container=CONTAINER,
                follow=True,
                timestamps=True,
                _request_timeout=self._log_seconds,
            )
            try:
                async for line in whole_lines(response.content.iter_any()):
                    yield line
            finally:
                abort(response)


def job_content(job: Object) -> Object:
    """Return what a Job runs: its spec, without what the API server gives to each Job of its own.

    A queue may have suspended it, or let it go.
    """
    spec = {name: each for name, each in job["spec"].items() if name not in {"selector", "suspend"}}
    template = spec["template"]
    metadata = template.get("metadata") or {}
    labels = {
        name: each for name, each in (metadata.get("labels") or {}).items() if name not in _GIVEN_LABELS
    }
    kept = {"labels": labels, "annotations": metadata.get("annotations") or {}}
    return {**spec, "template": {"metadata": kept, "spec": template["spec"]}}
