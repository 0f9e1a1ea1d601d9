"""kopf's event handlers: whatever changes, its build is reconciled.

Event handlers keep no state on the objects (no annotations, no finalizers): a deleted ImageBuild goes
at once, whether the operator runs or not. They are coroutines, though they wait for nothing: kopf runs plain
functions in threads, and queue and slots belong to the event loop.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import kopf

from strake_api.models.document import GROUP, VERSION
from strake_api.status import Phase
from strake_operator.handlers.queue import Key, Queue
from strake_operator.handlers.storage import NoDiffs, NoProgress
from strake_operator.names import BUILD_ANNOTATION, RERUN_ANNOTATION, UID_LABEL
from strake_operator.reconcile.runs import kept_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_operator.handlers.slots import Slots
    from strake_operator.kube.watched import Watched

CHUNK = 100
"""How many objects a list brings at once: builds may carry their whole context."""
WORKERS = 50
_DELETED = "DELETED"
_TERMINAL = {Phase.SUCCEEDED, Phase.FAILED}


def _configure(settings: kopf.OperatorSettings) -> None:
    """Have kopf watch what the operator needs, and write nothing."""
    settings.posting.enabled = False
    settings.scanning.disabled = True
    # Filtered by the API server: the operator never sees another pod of the cluster.
    settings.watching.label_selectors["jobs"] = UID_LABEL
    settings.watching.label_selectors["pods"] = UID_LABEL
    # Of warnings the API server cannot tell whom they are about; these come often and say nothing here.
    settings.watching.field_selectors["events"] = (
        "type=Warning,reason!=BackOff,reason!=Unhealthy,reason!=FailedScheduling"
    )
    # What kopf keeps of an object is gone as soon as its handler returned.
    settings.watching.chunk_size = CHUNK
    settings.persistence.diffbase_storage = NoDiffs()
    settings.persistence.progress_storage = NoProgress()
    settings.queueing.worker_limit = WORKERS
    settings.queueing.idle_timeout = 0.05


def register(
    registry: kopf.OperatorRegistry,
    settings: kopf.OperatorSettings,
    queue: Queue,
    watched: Watched,
    slots: Slots,
) -> None:
    """Have kopf watch ImageBuilds, the Jobs and pods that the operator made, and warnings about them."""
    _configure(settings)

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
    async def build_changed(*, namespace: str | None, name: str, event: Mapping[str, Any], **_: Any) -> None:
        _note_build(watched, queue, Key(namespace or "", name), event)
        slots.changed()

    @kopf.on.event(GROUP, VERSION, "buildpolicies", registry=registry)
    async def policy_changed(*, event: Mapping[str, Any], **_: Any) -> None:
        watched.policies.policy(event["object"], gone=event["type"] == _DELETED)
        slots.changed()

    @kopf.on.event("", "v1", "namespaces", registry=registry)
    async def namespace_changed(*, event: Mapping[str, Any], **_: Any) -> None:
        watched.policies.namespace(event["object"], gone=event["type"] == _DELETED)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_changed(*, event: Mapping[str, Any], **_: Any) -> None:
        watched.job(event["object"], gone=event["type"] == _DELETED)
        slots.changed()
        _add_owner(queue, watched, event["object"])

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_changed(*, event: Mapping[str, Any], **_: Any) -> None:
        watched.pod(event["object"], gone=event["type"] == _DELETED)
        _add_owner(queue, watched, event["object"])

    @kopf.on.event("", "v1", "events", registry=registry)
    async def warned(*, event: Mapping[str, Any], **_: Any) -> None:
        if (owner := watched.warning(event["object"], gone=event["type"] == _DELETED)) is not None:
            queue.add(Key(*owner))


def _note_build(watched: Watched, queue: Queue, key: Key, event: Mapping[str, Any]) -> None:
    """Take note of an ImageBuild, and have it reconciled where that is a reason to.

    What the operator itself wrote is none before the end of a run: each look may find another position or
    another line of the log to write, which would be told of again.
    """
    body = event["object"]
    if event["type"] == _DELETED:
        watched.build(key.namespace, key.name, None, ended=True)
        watched.builds.forget(key.namespace, key.name)
        queue.add(key)
        return
    output = (body.get("spec") or {}).get("output") or {}
    destinations = tuple(output.get("destinations") or ())
    watched.build(key.namespace, key.name, destinations, ended=_ended(body))
    is_news = watched.builds.note(dict(body))
    if is_news or (body.get("status") or {}).get("phase") in _TERMINAL:
        queue.add(key)


def _ended(body: Mapping[str, Any]) -> bool:
    """Return whether nothing is left to do for an ImageBuild: its run ended, and no other is asked for."""
    metadata, status = body["metadata"], body.get("status") or {}
    is_current = status.get("observedGeneration") == metadata.get("generation")
    asked = (metadata.get("annotations") or {}).get(RERUN_ANNOTATION)
    handled = (status.get("lastHandled") or {}).get("rerun")
    is_done = asked is None or kept_value(asked) == handled
    return is_current and is_done and status.get("phase") in _TERMINAL and "deletionTimestamp" not in metadata


def _add_owner(queue: Queue, watched: Watched, body: Mapping[str, Any]) -> None:
    """Have the ImageBuild of a Job or pod reconciled, if there is one: at a start it may be told of later."""
    metadata = body["metadata"]
    build = (metadata.get("annotations") or {}).get(BUILD_ANNOTATION)
    key = Key(metadata.get("namespace") or "", build or "")
    if watched.builds.knows(key.namespace, key.name):
        queue.add(key)
