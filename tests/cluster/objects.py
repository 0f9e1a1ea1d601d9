"""Objects of the test cluster, read over HTTP: what waits for a change asks often, and kubectl takes long to start."""

from __future__ import annotations

import functools
import json
from typing import Any

import httpx

from tests.cluster.settings import KUBECONFIG

GROUPS = {
    "configmaps": "api/v1",
    "imagebuilds": "apis/strake.dev/v1alpha1",
    "jobs": "apis/batch/v1",
    "pods": "api/v1",
}
"""Kind, in the plural → where the API server has it."""


class ReadError(Exception):
    """The API server refused to show an object; the message is its answer."""


def read(kind: str, namespace: str, name: str = "", *, labels: str = "") -> Any:
    """Return an object, or a list of objects.

    Args:
        kind: One of `GROUPS`.
        namespace: Where it is.
        name: Of one object; without it, the list of all.
        labels: A selector, for the list.

    Raises:
        ReadError: There is no such object.
    """
    path = f"/{GROUPS[kind]}/namespaces/{namespace}/{kind}/{name}".rstrip("/")
    answer = _client(KUBECONFIG.read_text()).get(path, params={"labelSelector": labels} if labels else None)
    if answer.is_error:
        raise ReadError(f"{kind}/{name} in {namespace}: {answer.text}")
    return answer.json()


def refusal_of(kind: str, namespace: str, manifest: dict[str, Any]) -> str:
    """Return the API server's words where it would refuse to create an object, which it does not; else "".

    Args:
        kind: One of `GROUPS`.
        namespace: Where it would be.
        manifest: The object.
    """
    path = f"/{GROUPS[kind]}/namespaces/{namespace}/{kind}"
    answer = _client(KUBECONFIG.read_text()).post(path, params={"dryRun": "All"}, json=manifest)
    return str(answer.json()["message"]) if answer.is_error else ""


def forget_connections() -> None:
    """Connect anew for the next request: the API server that was connected to has ended."""
    _client(KUBECONFIG.read_text()).close()
    _client.cache_clear()


@functools.cache
def _client(kubeconfig: str) -> httpx.Client:
    """Return a client that keeps its connection: making one takes longer than the answer.

    Nobody vouches for the server's certificate, which it made itself when it started.
    """
    found = json.loads(kubeconfig)
    headers = {"Authorization": f"Bearer {found['users'][0]['user']['token']}"}
    server = found["clusters"][0]["cluster"]["server"]
    return httpx.Client(base_url=server, headers=headers, verify=False, timeout=30, trust_env=False)
