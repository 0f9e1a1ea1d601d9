"""The Lease in the cluster: each write goes over the version that was seen, and over no other."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubernetes.aio.client import ApiClient, CoordinationV1Api

from strake_operator.errors import NotFoundError
from strake_operator.kube.answers import api_errors
from strake_operator.kube.connection import configured
from strake_operator.lease import NOBODY, Lease

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class LeaseClient:
    """A Lease of a namespace.

    Args:
        api: The connections, which nothing else takes.
        namespace: The Lease's.
        name: Its name.
        seconds: How long a request may take.
    """

    def __init__(self, api: ApiClient, namespace: str, name: str, seconds: float) -> None:
        self._leases = CoordinationV1Api(api)
        self._namespace = namespace
        self._name = name
        self._seconds = seconds

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    async def read(self) -> Lease | None:
        """Return the Lease; None where there is none.

        Raises:
            ClusterError: The API server did not tell.
        """
        try:
            with api_errors(f"reading {self}"):
                found = await self._leases.read_namespaced_lease(
                    self._name, self._namespace, _request_timeout=self._seconds
                )
        except NotFoundError:
            return None
        return _read(found)

    async def write(self, before: Lease | None, holder: str, duration: float, *, acquire: bool) -> Lease:
        """Write the Lease over the version that was seen; return what is there now.

        Args:
            before: What was seen; None to create it.
            holder: Who has it from now on.
            duration: Seconds that it lasts.
            acquire: Whether the holder is another than before.

        Raises:
            ConflictError: Somebody wrote it meanwhile.
            ExistsError: Likewise, where there was none.
            ClusterError: The API server did not write it.
        """
        now = datetime.now(UTC)
        transitions = 0 if before is None else before.transitions + acquire
        metadata: dict[str, Any] = {"name": self._name, "namespace": self._namespace}
        spec: dict[str, Any] = {
            "holderIdentity": holder or None,
            "leaseDurationSeconds": max(1, round(duration)),
            "leaseTransitions": transitions,
            "renewTime": _micro(now),
            "acquireTime": _micro(now if before is None or acquire else before.acquired or now),
        }
        if before is not None:
            metadata["resourceVersion"] = before.version
        body: Any = {"metadata": metadata, "spec": spec}
        with api_errors(f"writing {self}"):
            if before is None:
                written = await self._leases.create_namespaced_lease(
                    self._namespace, body, _request_timeout=self._seconds
                )
            else:
                written = await self._leases.replace_namespaced_lease(
                    self._name, self._namespace, body, _request_timeout=self._seconds
                )
        return _read(written)


def _micro(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _read(found: Any) -> Lease:
    spec = found.spec
    return Lease(
        holder=(spec and spec.holder_identity) or NOBODY,
        duration_seconds=float((spec and spec.lease_duration_seconds) or 1),
        transitions=(spec and spec.lease_transitions) or 0,
        version=found.metadata.resource_version,
        acquired=spec and spec.acquire_time,
    )


@asynccontextmanager
async def lease_client(namespace: str, name: str, seconds: float) -> AsyncIterator[LeaseClient]:
    """Connect as `connect` does, over connections of its own: logs and reconciles keep no renewal waiting."""
    async with ApiClient(await configured()) as api:
        api.user_agent = "strake-operator"
        yield LeaseClient(api, namespace, name, seconds)
