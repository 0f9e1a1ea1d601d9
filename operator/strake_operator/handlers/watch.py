"""kopf's event handlers: whatever changes, the build it belongs to gets a look.

Event handlers keep no state on the objects (no annotations, no finalizers): a deleted ImageBuild goes
at once, whether the operator runs or not.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import kopf

from strake_api.document import GROUP, VERSION
from strake_operator.handlers.queue import Key, Queue
from strake_operator.names import BUILD_ANNOTATION, UID_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping


def register(registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, queue: Queue) -> None:
    """Have kopf watch ImageBuilds, and the Jobs and pods that the operator made."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    # Filtered by the API server: the operator never sees another pod of the cluster.
    settings.watching.label_selectors["jobs"] = UID_LABEL
    settings.watching.label_selectors["pods"] = UID_LABEL

    @kopf.on.login(registry=registry)
    def login(**arguments: Any) -> kopf.ConnectionInfo | None:
        account = kopf.login_with_service_account(**arguments)
        if account is None:
            return kopf.login_with_kubeconfig(**arguments)
        # kopf goes by the service's name, which needs the cluster's DNS; the address is in the environment.
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        bracketed = f"[{host}]" if ":" in host else host
        return dataclasses.replace(account, server=f"https://{bracketed}:{port}")

    @kopf.on.event(GROUP, VERSION, "imagebuilds", registry=registry)
    def build_changed(*, namespace: str | None, name: str, **_: Any) -> None:
        queue.add(Key(namespace or "", name))

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    def job_changed(*, namespace: str | None, annotations: Mapping[str, str], **_: Any) -> None:
        _add_owner(queue, namespace, annotations)

    @kopf.on.event("", "v1", "pods", registry=registry)
    def pod_changed(*, namespace: str | None, annotations: Mapping[str, str], **_: Any) -> None:
        _add_owner(queue, namespace, annotations)


def _add_owner(queue: Queue, namespace: str | None, annotations: Mapping[str, str]) -> None:
    if (build := annotations.get(BUILD_ANNOTATION)) is not None:
        queue.add(Key(namespace or "", build))
