"""Reads and changes the cluster through the API server, with the operator's own errors."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from kubernetes.aio import client, config
from pydantic import ValidationError

from strake_api.models.document import API_VERSION, GROUP, VERSION
from strake_operator.errors import ClusterError, ConflictError, ExistsError, NotFoundError, RefusedError
from strake_operator.kube.reading import read_build, read_run
from strake_operator.names import CONTAINER, UID_LABEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from strake_api.status import ImageBuildStatus
    from strake_operator.kube.reading import Object
    from strake_operator.kube.watched import Watched
    from strake_operator.reconcile.observed import Build, BuilderRun

PLURAL = "imagebuilds"
_REQUEST_SECONDS = 30.0
_LONGEST_LINE = 1 << 20
# A log is read over one connection for so long, then over another: the library's own limit is 5 minutes.
LOG_SECONDS = 1800.0
_REFUSALS = {400, 403, 405, 413, 415, 422}


@contextmanager
def _api_errors(what: str) -> Iterator[None]:
    """Turn the library's exceptions into ours, the most specific first."""
    try:
        yield
    except client.ApiException as error:
        raise error_of(error, what) from error
    except ValidationError as error:
        # The library checks what it sends.
        raise RefusedError(f"{what}: {error.errors(include_url=False, include_input=False)[0]}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClusterError(f"{what}: {str(error) or type(error).__name__}") from error


def error_of(error: client.ApiException, what: str) -> ClusterError:
    """Return the API server's answer as an error of ours, by its Status: code and reason."""
    try:
        status = dict(json.loads(error.body or ""))
    except (TypeError, ValueError):
        status = {}
    text = f"{what}: {status.get('message') or f'{error.status} {error.reason}'}"
    if error.status == HTTPStatus.CONFLICT:
        # The code alone does not tell: a quota that others use at the same time answers 409, too.
        return ExistsError(text) if status.get("reason") == "AlreadyExists" else ConflictError(text)
    if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        return NotFoundError(text)
    if error.status in _REFUSALS:
        return RefusedError(text, forbidden=error.status == HTTPStatus.FORBIDDEN)
    return ClusterError(text)


class Cluster:
    """The cluster, through one connection pool.

    Args:
        api: The connections.
        watched: What the watches know.
        log_seconds: How long a log is read over one connection.
    """

    def __init__(self, api: client.ApiClient, watched: Watched, *, log_seconds: float = LOG_SECONDS) -> None:
        self._api = api
        self._watched = watched
        self._log_seconds = log_seconds
        self._builds = client.CustomObjectsApi(api)
        self._jobs = client.BatchV1Api(api)
        self._core = client.CoreV1Api(api)

    async def build(self, namespace: str, name: str) -> Build:
        """Return an ImageBuild as it is now.

        Raises:
            NotFoundError: There is none of this name.
        """
        with _api_errors(f"reading ImageBuild {namespace}/{name}"):
            body: Any = await self._builds.get_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, name, _request_timeout=_REQUEST_SECONDS
            )
        return read_build(body)

    async def runs(self, build: Build) -> tuple[BuilderRun, ...]:
        """Return the Jobs of an ImageBuild with their pods, as they are now."""
        selector = f"{UID_LABEL}={build.uid}"
        with _api_errors(f"reading the Jobs of ImageBuild {build.namespace}/{build.name}"):
            jobs = await self._list(self._jobs.list_namespaced_job, build.namespace, label_selector=selector)
            pods = await self._list(self._core.list_namespaced_pod, build.namespace, label_selector=selector)
        self._watched.replace(build, jobs, pods)
        found = [read_run(job, pods, self._watched.problems(build.namespace, job, pods)) for job in jobs]
        return tuple(run for run in found if run is not None)

    async def check_predecessors(self, build: Build) -> None:
        """See which pods of a deleted ImageBuild of this name are there: a watch may miss their end."""
        with _api_errors(f"reading the builder pods of namespace {build.namespace}"):
            pods = await self._list(
                self._core.list_namespaced_pod, build.namespace, label_selector=f"{UID_LABEL}!={build.uid}"
            )
        self._watched.keep_predecessors(build, [pod["metadata"]["name"] for pod in pods])

    async def _list(self, method: Any, namespace: str, **arguments: Any) -> list[Object]:
        answer = await method(namespace, _request_timeout=_REQUEST_SECONDS, **arguments)
        items: list[Object] = self._api.sanitize_for_serialization(answer.items)  # type: ignore[no-untyped-call] # the library's
        return items

    async def create(self, manifest: Object) -> None:
        """Create a ConfigMap or a Job. One that exists already is left alone: its name says what it is for.

        Raises:
            RefusedError: The API server will not take it.
        """
        namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        method: Any = {
            "ConfigMap": self._core.create_namespaced_config_map,
            "Job": self._jobs.create_namespaced_job,
        }[manifest["kind"]]
        try:
            with _api_errors(f"creating {manifest['kind']} {namespace}/{name}"):
                await method(namespace, manifest, _request_timeout=_REQUEST_SECONDS)
        except ExistsError:
            return

    async def delete_pod(self, namespace: str, pod: str) -> None:
        """Delete a pod without waiting for its node; one that is gone already is fine."""
        now = client.V1DeleteOptions(grace_period_seconds=0)
        try:
            with _api_errors(f"deleting pod {namespace}/{pod}"):
                await self._core.delete_namespaced_pod(
                    pod, namespace, body=now, _request_timeout=_REQUEST_SECONDS
                )
        except NotFoundError:
            return

    async def delete_run(self, namespace: str, job: str) -> None:
        """Delete a Job and its ConfigMap. The Job goes when its pod is gone; what is gone already is fine."""
        foreground = client.V1DeleteOptions(propagation_policy="Foreground")
        for method, body in (
            (self._jobs.delete_namespaced_job, foreground),
            (self._core.delete_namespaced_config_map, None),
        ):
            try:
                with _api_errors(f"deleting {namespace}/{job}"):
                    await method(job, namespace, body=body, _request_timeout=_REQUEST_SECONDS)
            except NotFoundError:
                continue

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
        with _api_errors(f"writing the status of ImageBuild {build.namespace}/{build.name}"):
            await self._builds.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                build.namespace,
                PLURAL,
                build.name,
                patch,
                _content_type="application/merge-patch+json",
                _request_timeout=_REQUEST_SECONDS,
            )

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
        with _api_errors(f"posting an event about {build.namespace}/{build.name}"):
            await self._core.create_namespaced_event(
                build.namespace, event, _request_timeout=_REQUEST_SECONDS
            )

    async def log_lines(self, namespace: str, pod: str) -> AsyncIterator[bytes]:
        """Yield the lines of a builder's log, from its start, until the builder ends.

        Each begins with the time at which it was written, to the nanosecond, and a space.

        Raises:
            ClusterError: The log cannot be read (any more).
        """
        with _api_errors(f"following the log of pod {namespace}/{pod}"):
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
                response.close()


async def whole_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of a stream that are whole.

    One that is too long is left out with all of it: its rest must not be taken for a line. Where chunks come
    faster than they are read, other tasks have their turn between two.
    """
    rest, skipping = b"", False
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not skipping:
                yield line
            skipping = False
        if skipping or len(rest) > _LONGEST_LINE:
            rest, skipping = b"", True
        await asyncio.sleep(0)


@asynccontextmanager
async def connect(watched: Watched) -> AsyncIterator[Cluster]:
    """Connect with the pod's service account, or with the kubeconfig outside a cluster."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the library's
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the library's
    async with client.ApiClient(configuration) as api:
        # The API server names the writer of a field after it.
        api.user_agent = "strake-operator"
        yield Cluster(api, watched)
