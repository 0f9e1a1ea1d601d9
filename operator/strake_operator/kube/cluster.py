"""Reads and changes the cluster through the API server, with the operator's own errors."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
from kubernetes.aio import client, config
from pydantic import ValidationError

from strake_api.document import API_VERSION, GROUP, VERSION
from strake_operator.errors import ClusterError, ConflictError, NotFoundError, RefusedError
from strake_operator.kube.reading import read_build, read_run
from strake_operator.names import CONTAINER, UID_LABEL
from strake_operator.reconcile.observed import Running, Terminated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from strake_api.status import ImageBuildStatus
    from strake_operator.kube.reading import Object
    from strake_operator.reconcile.observed import Build, BuilderRun

PLURAL = "imagebuilds"
_REQUEST_SECONDS = 30.0
_LONGEST_LINE = 1 << 20
_KINDS: dict[int, type[ClusterError]] = {
    400: RefusedError,
    403: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    413: RefusedError,
    422: RefusedError,
}


@contextmanager
def _api_errors(what: str) -> Iterator[None]:
    """Turn the library's exceptions into ours, the most specific first."""
    try:
        yield
    except client.ApiException as error:
        message = _message(error)
        kind = {404: NotFoundError, 409: ConflictError, 400: RefusedError, 403: RefusedError}.get(
            error.status
        )
        if error.status in {413, 422}:
            kind = RefusedError
        raise (kind or ClusterError)(f"{what}: {message}") from error
    except ValidationError as error:
        # The library checks what it sends.
        raise RefusedError(f"{what}: {error.errors(include_url=False, include_input=False)[0]}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClusterError(f"{what}: {str(error) or type(error).__name__}") from error


def _message(error: client.ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


class Cluster:
    """The cluster, through one connection pool."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
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
        """Return the Jobs of an ImageBuild with their pods, and the warnings about those that do not run."""
        selector = f"{UID_LABEL}={build.uid}"
        with _api_errors(f"reading the Jobs of ImageBuild {build.namespace}/{build.name}"):
            jobs = await self._list(self._jobs.list_namespaced_job, build.namespace, label_selector=selector)
            pods = await self._list(self._core.list_namespaced_pod, build.namespace, label_selector=selector)
        found = []
        for job in jobs:
            run = read_run(job, pods)
            if run is not None and _is_stuck(run):
                run = read_run(job, pods, await self._warnings(build.namespace, run))
            if run is not None:
                found.append(run)
        return tuple(found)

    async def _warnings(self, namespace: str, run: BuilderRun) -> list[Object]:
        found: list[Object] = []
        for name in (run.job, run.pod.name if run.pod else None):
            if name is not None:
                selector = f"involvedObject.name={name},type=Warning"
                with _api_errors(f"reading the events of {namespace}/{name}"):
                    found += await self._list(
                        self._core.list_namespaced_event, namespace, field_selector=selector
                    )
        return sorted(found, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")

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
        except ConflictError:
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

        Raises:
            ClusterError: The log cannot be read (any more).
        """
        with _api_errors(f"following the log of pod {namespace}/{pod}"):
            response = await self._core.read_namespaced_pod_log_without_preload_content(
                pod, namespace, container=CONTAINER, follow=True
            )
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
                if len(rest) > _LONGEST_LINE:
                    rest = b""


def _is_stuck(run: BuilderRun) -> bool:
    """Return whether events may say why nothing happens."""
    if run.failure is not None:
        return run.failure == "DeadlineExceeded"
    return run.pod is None or not isinstance(run.pod.container, Running | Terminated)


@asynccontextmanager
async def connect() -> AsyncIterator[Cluster]:
    """Connect with the pod's service account, or with the kubeconfig outside a cluster."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the library's
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call] # the library's
    async with client.ApiClient(configuration) as api:
        yield Cluster(api)
