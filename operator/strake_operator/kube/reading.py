"""From Kubernetes' objects, as plain JSON values, to what the decision is made from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from strake_api.imagebuild import ImageBuildSpec
from strake_api.status import ImageBuildStatus
from strake_operator.isolation import PodForm
from strake_operator.names import (
    ATTEMPT_LABEL,
    BASES_ANNOTATION,
    CONTAINER,
    FORM_ANNOTATION,
    FORM_LABEL,
    GENERATION_LABEL,
    PLAIN_ANNOTATION,
)
from strake_operator.reconcile.observed import (
    Build,
    BuilderRun,
    InvalidSpec,
    Pod,
    Problem,
    Running,
    Terminated,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Object = dict[str, Any]


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
    except ValidationError:
        status = ImageBuildStatus()
    return Build(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        status=status,
    )


def _summary(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"spec.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found[:5])


def read_run(job: Object, pods: Sequence[Object], problems: Iterable[Problem] = ()) -> BuilderRun | None:
    """Return a Job with its newest pod; None for a Job without the operator's labels."""
    metadata, status = job["metadata"], job.get("status", {})
    labels = metadata.get("labels", {})
    try:
        generation, attempt = int(labels[GENERATION_LABEL]), int(labels[ATTEMPT_LABEL])
        form = PodForm(labels.get(FORM_LABEL, PodForm.NESTED))
    except (KeyError, ValueError):
        return None
    own = [pod for pod in pods if pod["metadata"].get("labels", {}).get("job-name") == metadata["name"]]
    newest = max(own, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
    conditions = {each["type"]: each for each in status.get("conditions", []) if each["status"] == "True"}
    # FailureTarget is the Job controller's word while it still ends the pods.
    failed = conditions.get("Failed") or conditions.get("FailureTarget")
    return BuilderRun(
        job=metadata["name"],
        generation=generation,
        attempt=attempt,
        created=moment(metadata["creationTimestamp"]),
        deleting="deletionTimestamp" in metadata,
        suspended=bool(job.get("spec", {}).get("suspend")),
        failure=failed.get("reason", "Failed") if failed else None,
        finished=bool({"Failed", "Complete"} & conditions.keys()),
        pod=None if newest is None else read_pod(newest),
        problems=tuple(problems),
        form=form,
        why=(metadata.get("annotations") or {}).get(FORM_ANNOTATION) or None,
        bases=tuple((metadata.get("annotations") or {}).get(BASES_ANNOTATION, "").split()),
        plain=(metadata.get("annotations") or {}).get(PLAIN_ANNOTATION) or None,
        started=moment(status["startTime"]) if status.get("startTime") else None,
    )


def read_pod(pod: Object) -> Pod:
    """Return what matters of a builder pod."""
    status = pod.get("status", {})
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    disruption = conditions.get("DisruptionTarget", {})
    container = _container(status)
    disrupted = None
    if status.get("reason") in {"Evicted", "Preempting", "NodeShutdown", "Terminated", "NodeAffinity"}:
        disrupted = status.get("message") or status["reason"]
    elif status.get("phase") == "Failed" and status.get("reason", "DeadlineExceeded") != "DeadlineExceeded":
        # The kubelet did not let it start: OutOfcpu, UnexpectedAdmissionError …
        disrupted = f"{status['reason']}: {status.get('message', '')}".rstrip(": ")
    elif disruption.get("status") == "True":
        disrupted = disruption.get("message") or disruption.get("reason", "disruption")
    scheduled = conditions.get("PodScheduled", {})
    return Pod(
        name=pod["metadata"]["name"],
        phase=status.get("phase", "Pending"),
        container=container,
        disrupted=disrupted,
        unschedulable=scheduled.get("message") if scheduled.get("reason") == "Unschedulable" else None,
        deleting="deletionTimestamp" in pod["metadata"],
        node=pod.get("spec", {}).get("nodeName"),
        since=moment(status["startTime"]) if status.get("startTime") else None,
        lost=status.get("phase") == "Unknown" or status.get("reason") == "NodeLost",
        ends=moment(ended) if (ended := pod["metadata"].get("deletionTimestamp")) else None,
    )


def _container(status: Object) -> Waiting | Running | Terminated | None:
    found = [each for each in status.get("containerStatuses", []) if each["name"] == CONTAINER]
    if not found:
        return None
    state = found[0].get("state", {})
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
