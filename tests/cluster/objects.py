"""Objects of the test cluster, read over HTTP: what waits for a change asks often, and kubectl takes long to start."""

from __future__ import annotations

import functools
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

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
    server, token = _access(KUBECONFIG.read_text())
    query = f"?labelSelector={urllib.parse.quote(labels)}" if labels else ""
    url = f"{server}/{GROUPS[kind]}/namespaces/{namespace}/{kind}/{name}".rstrip("/") + query
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, context=_unverified(), timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise ReadError(f"{kind}/{name} in {namespace}: {error.read().decode()}") from error


@functools.cache
def _access(kubeconfig: str) -> tuple[str, str]:
    found = json.loads(kubeconfig)
    return found["clusters"][0]["cluster"]["server"], found["users"][0]["user"]["token"]


@functools.cache
def _unverified() -> ssl.SSLContext:
    """Return a context for a server whose certificate nobody vouches for: it made it itself when it started."""
    return ssl._create_unverified_context()
