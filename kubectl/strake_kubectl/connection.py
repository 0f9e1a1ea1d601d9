"""How kubectl itself gets to the cluster: a kubeconfig, or the ServiceAccount of a pod."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from strake_kubectl.cluster import Answer, Cluster
from strake_kubectl.errors import BrokenConnectionError, CommandError

_PIECE = 64 * 1024
_NO_CONFIG = "set $KUBECONFIG, or write ~/.kube/config: `kubectl cluster-info` must work first"


def connect(*, context: str | None, namespace: str | None, kubeconfig: str | None) -> Cluster:
    """Return the cluster that the caller means.

    Args:
        context: Of the kubeconfig; its current one where none is given.
        namespace: The context's where none is given, or else `default`.
        kubeconfig: Path of a file; $KUBECONFIG and ~/.kube/config where none is given.

    Raises:
        CommandError: There is no configuration, or none of the name, or the library is not installed.
    """
    try:
        from kubernetes import client
        from kubernetes import config as untyped
        from urllib3 import disable_warnings
        from urllib3.exceptions import InsecureRequestWarning
    except ImportError as error:
        raise CommandError(
            f"a library is not installed: {error.name}", hint="pip install 'strake[kubectl]'"
        ) from error
    config: Any = untyped  # it has no types
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # each try of a connection is no line of its own
    # A kubeconfig that asks for no verification is its author's word, of which kubectl says nothing either.
    disable_warnings(InsecureRequestWarning)
    chosen_file = kubeconfig or os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
    try:
        contexts, current = config.list_kube_config_contexts(chosen_file)
        chosen = current if context is None else {each["name"]: each for each in contexts}.get(context)
        if chosen is None:
            raise CommandError(
                f"the kubeconfig has no context {context!r}", hint="kubectl config get-contexts"
            )
        # Nothing is written: a token that was refreshed is for kubectl to keep.
        api = config.new_client_from_config(chosen_file, chosen["name"], persist_config=False)
        own = chosen["context"].get("namespace")
    except config.ConfigException as error:
        if context or kubeconfig or "KUBERNETES_SERVICE_HOST" not in os.environ:
            raise CommandError(f"there is no cluster to speak to: {error}", hint=_NO_CONFIG) from error
        settings = client.Configuration()
        config.load_incluster_config(settings)
        api, own = client.ApiClient(settings), _pod_namespace()
    return Cluster(_Requests(api), namespace or own or "default")


def _pod_namespace() -> str | None:
    try:
        with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


class _Response:
    """An answer of urllib3's."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status

    def read(self) -> bytes:
        return bytes(self._response.read())

    def pieces(self) -> Iterator[bytes]:
        # Whatever has come, and not first a whole piece: a log is read as it is written.
        while piece := self._response.read1(_PIECE):
            yield bytes(piece)


class _Requests:
    """Sends requests as the client library does, and leaves documents as they are."""

    def __init__(self, api: Any) -> None:
        self._api = api

    @contextmanager
    def send(
        self, method: str, path: str, query: Mapping[str, str], body: object, content_type: str
    ) -> Iterator[Answer]:
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = content_type
        host = self._api.configuration.host
        try:
            parameters = self._api.param_serialize(
                method,
                path,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            raw = self._api.call_api(*parameters).response
        except HTTPError as error:
            raise CommandError(
                f"cannot reach the cluster at {host}: {_cause(error)}",
                hint="`kubectl cluster-info` tells more",
            ) from error
        try:
            yield _Response(raw)
        except HTTPError as error:
            raise BrokenConnectionError(
                f"the connection to {host} broke: {_cause(error)}", hint="try again"
            ) from error
        finally:
            raw.close()


def _cause(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error)
