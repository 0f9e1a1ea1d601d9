"""From Kubernetes' objects, as plain JSON values, to what the decision is made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, assert_never

from pydantic import ValidationError

from strake_api.imagebuild import ImageBuildSpec
from strake_api.status import ImageBuildStatus
from strake_operator.kube.owners import is_controlled_by
from strake_operator.names import (
    BASES_ANNOTATION,
    CANCEL_ANNOTATION,
    CONTAINER,
    FORM_ANNOTATION,
    GATEWAY,
    PLAIN_ANNOTATION,
    QUEUE_LABEL,
    REQUEST_ANNOTATION,
    RERUN_ANNOTATION,
    SOURCE_CONTAINER,
    is_pod_of,
    run_names,
    run_of_labels,
)
from strake_operator.reconcile.observed import (
    Awaited,
    Build,
    BuilderRun,
    InvalidSpec,
    Pod,
    PodContainer,
    Problem,
    Running,
    Terminated,
    Waiting,
)
from strake_operator.reconcile.oddities import mended

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Object = dict[str, Any]
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})


def read_build(body: Object) -> Build:
    """Return an ImageBuild. A status that cannot be read counts as none, so that it gets written anew."""
    metadata = body["metadata"]
    spec: ImageBuildSpec | InvalidSpec
    try:
        spec = ImageBuildSpec.model_validate(body.get("spec", {}))
    except ValidationError as error:
        spec = InvalidSpec(_summary(error))
    try:
        status = ImageBuildStatus.model_validate(body.get("status", {}))
        status, oddities = mended(status, metadata["generation"])
    except ValidationError as error:
        status, oddities = ImageBuildStatus(), (f"it cannot be read: {_summary(error, 'status')}",)
    annotations = metadata.get("annotations") or {}
    return Build(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        status=status,
        rerun=annotations.get(RERUN_ANNOTATION),
        rerun_by=_manager(metadata, RERUN_ANNOTATION),
        cancel=annotations.get(CANCEL_ANNOTATION),
        queue=(metadata.get("labels") or {}).get(QUEUE_LABEL) or None,
        oddities=oddities,
    )


def _manager(metadata: Object, annotation: str) -> str | None:
    """Return the field manager of an annotation; None where the API server does not tell."""
    for entry in metadata.get("managedFields") or ():
        fields = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
        if f"f:{annotation}" in (fields.get("f:annotations") or {}):
            return entry.get("manager") or None
    return None


def _summary(error: ValidationError, part: str = "spec") -> str:
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{part}.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found[:5])


def read_run(
    job: Object, pods: Sequence[Object], build: Build, problems: Iterable[Problem] = ()
) -> BuilderRun | None:
    """Return a Job with its pod; None for one that has not the owner and the name of a run of the build.

    Labels are no proof, and an owner reference is a weak one: whether the operator made the Job is for
    `reconcile.origin` to tell.
    """
    metadata, status = job["metadata"], job.get("status", {})
    run = run_of_labels(metadata.get("labels") or {})
    if run is None or not is_controlled_by(job, "ImageBuild", build.uid):
        return None
    number, attempt, form, part = run
    if metadata["name"] not in run_names(build.name, build.uid, *run):
        return None
    # A Job that never tries again has one pod; a later one was put under it by somebody else.
    own = [each for each in pods if is_pod(each, job)]
    pod = min(own, key=_age, default=None)
    conditions = {each["type"]: each for each in status.get("conditions", []) if each["status"] == "True"}
    # FailureTarget is the Job controller's word while it still ends the pods.
    failed = conditions.get("Failed") or conditions.get("FailureTarget")
    return BuilderRun(
        job=metadata["name"],
        number=number,
        attempt=attempt,
        created=moment(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        suspended=bool(job.get("spec", {}).get("suspend")),
        failure=failed.get("reason", "Failed") if failed else None,
        finished=bool({"Failed", "Complete"} & conditions.keys()),
        pod=None if pod is None else read_pod(pod),
        problems=tuple(problems),
        form=form,
        why=(metadata.get("annotations") or {}).get(FORM_ANNOTATION) or None,
        bases=tuple((metadata.get("annotations") or {}).get(BASES_ANNOTATION, "").split()),
        plain=(metadata.get("annotations") or {}).get(PLAIN_ANNOTATION) or None,
        started=moment(status["startTime"]) if status.get("startTime") else None,
        uid=metadata["uid"],
        request=(metadata.get("annotations") or {}).get(REQUEST_ANNOTATION) or None,
        part=part,
    )


def _age(body: Object) -> tuple[str, str]:
    return body["metadata"]["creationTimestamp"], body["metadata"]["name"]


def is_pod(pod: Object, job: Object) -> bool:
    """Return whether a pod is a Job's own: by its controller's UID and by its name."""
    name, its_job = pod["metadata"]["name"], job["metadata"]
    return is_controlled_by(pod, "Job", its_job["uid"]) and is_pod_of(name, its_job["name"])


def read_pod(pod: Object) -> Pod:
    """Return what matters of a builder pod."""
    status, spec = pod.get("status", {}), pod.get("spec") or {}
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    container, name = _container(status)
    disruption, disrupted = _disruption(status, conditions.get("DisruptionTarget", {}))
    scheduled = conditions.get("PodScheduled", {})
    return Pod(
        name=pod["metadata"]["name"],
        phase=status.get("phase", "Pending"),
        container=container,
        disrupted=disrupted,
        disruption=disruption,
        subject=_subject(spec, name),
        awaited=_awaited(spec, status) if isinstance(container, Waiting) else None,
        fetching=isinstance(container, Waiting) and _is_fetching(status),
        unschedulable=scheduled.get("message") if scheduled.get("reason") == "Unschedulable" else None,
        deleting="deletionTimestamp" in pod["metadata"],
        node=spec.get("nodeName"),
        since=moment(status["startTime"]) if status.get("startTime") else None,
        lost=status.get("phase") == "Unknown" or status.get("reason") == "NodeLost",
        ends=moment(ended) if (ended := pod["metadata"].get("deletionTimestamp")) else None,
        uid=pod["metadata"]["uid"],
        log_report=_log_report(status),
    )


def _disruption(status: Object, condition: Object) -> tuple[str, str | None]:
    """Return why the infrastructure took a pod away, in one word and in its own; None where it did not."""
    reason = status.get("reason", "")
    if reason in {"Evicted", "Preempting", "NodeShutdown", "Terminated", "NodeAffinity"}:
        return reason, status.get("message") or reason
    if status.get("phase") == "Failed" and reason and reason != "DeadlineExceeded":
        # The kubelet did not let it start: OutOfcpu, UnexpectedAdmissionError …
        return reason, f"{reason}: {status.get('message', '')}".rstrip(": ")
    if condition.get("status") == "True":
        reason = condition.get("reason", "disruption")
        return reason, condition.get("message") or reason
    return "", None


def _subject(spec: Object, name: str) -> PodContainer:
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    found: Object = next((each for each in containers if each.get("name") == name), {})
    limits = (found.get("resources") or {}).get("limits") or {}
    return PodContainer(name, found.get("image"), limits.get("memory"))


def _awaited(spec: Object, status: Object) -> Awaited | None:
    """Return the container that the builder waits for, where somebody added it and it runs.

    A sidecar is waited for until its startup probe succeeds, any other until it ends.
    """
    sidecars = {
        each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
    }
    for each in status.get("initContainerStatuses", []):
        name = str(each.get("name"))
        if name in {GATEWAY, SOURCE_CONTAINER} or "running" not in (each.get("state") or {}):
            continue
        if name not in sidecars:
            return Awaited(name, "end")
        if each.get("started") is False:
            return Awaited(name, "start")
    return None


def _is_fetching(status: Object) -> bool:
    return any(
        each.get("name") == SOURCE_CONTAINER and "running" in (each.get("state") or {})
        for each in status.get("initContainerStatuses", [])
    )


def _log_report(status: Object) -> str | None:
    """Return the termination message of the gateway, which is a sidecar; None before it ended."""
    for each in status.get("initContainerStatuses", []):
        ended = (each.get("state") or {}).get("terminated")
        if each.get("name") == GATEWAY and ended:
            return str(ended.get("message") or "")
    return None


def _container(status: Object) -> tuple[Waiting | Running | Terminated | None, str]:
    """Return state and name of the builder's container, or of the one that keeps it from starting."""
    found = [each for each in status.get("containerStatuses", []) if each["name"] == CONTAINER]
    own = _state(found[0].get("state", {})) if found else None
    if not isinstance(own, Running | Terminated):
        for each in status.get("initContainerStatuses", []):
            if _keeps_waiting(state := _state(each.get("state", {}))):
                return state, str(each.get("name"))
    return own, CONTAINER


def _keeps_waiting(state: Waiting | Running | Terminated) -> bool:
    match state:
        case Waiting():
            return state.reason not in _STARTING
        case Terminated():
            return state.exit_code != 0
        case Running():
            return False
        case _:
            assert_never(state)


def _state(state: Object) -> Waiting | Running | Terminated:
    if ended := state.get("terminated"):
        return Terminated(
            exit_code=ended.get("exitCode", -1),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            finished=moment(ended["finishedAt"]) if ended.get("finishedAt") else None,
        )
    if "running" in state:
        return Running()
    waiting = state.get("waiting", {})
    return Waiting(waiting.get("reason", ""), waiting.get("message", ""))


def moment(text: str) -> datetime:
    """Return a timestamp of Kubernetes, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
