"""What the watches know of Jobs, pods and warnings: read by most reconciles instead of the API server.

It may lag behind, and miss deletions that happened while a watch was broken. So it tells where a build
is; whatever is decided for good is decided from a fresh read, which replaces what is kept here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strake_operator.kube.builds import KnownBuilds
from strake_operator.kube.owners import controller
from strake_operator.kube.policies import Policies
from strake_operator.kube.reading import is_pod, moment, read_pod, read_run
from strake_operator.names import (
    ATTEMPT_LABEL,
    BASES_ANNOTATION,
    BUILD_ANNOTATION,
    CONTAINER,
    FORM_ANNOTATION,
    FORM_LABEL,
    OLD_RUN_LABEL,
    PART_LABEL,
    PLAIN_ANNOTATION,
    REQUEST_ANNOTATION,
    RUN_LABEL,
    UID_LABEL,
    is_pod_of,
    run_names,
    run_of_labels,
)
from strake_operator.names import may_be_a_run as is_run
from strake_operator.reconcile.observed import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from strake_operator.kube.reading import Object
    from strake_operator.reconcile.observed import Build, BuilderRun, Pod

Name = tuple[str, str]
"""Namespace and name."""

_METADATA = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp")
_LABELS = (UID_LABEL, RUN_LABEL, OLD_RUN_LABEL, ATTEMPT_LABEL, FORM_LABEL, PART_LABEL)
_ANNOTATIONS = (BUILD_ANNOTATION, FORM_ANNOTATION, BASES_ANNOTATION, PLAIN_ANNOTATION, REQUEST_ANNOTATION)
_STATUS = ("phase", "reason", "message", "conditions", "startTime")
_CONTAINER = ("name", "image", "restartPolicy")
_ENDED = {"Succeeded", "Failed"}
_OVER = {"Complete", "Failed"}


def slim(body: Object) -> Object:
    """Return the part of a Job or a pod that is read: a few hundred bytes instead of many thousand."""
    metadata, status = body["metadata"], body.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    kept: dict[str, Any] = {name: metadata[name] for name in _METADATA if metadata.get(name) is not None}
    kept["labels"] = {name: labels[name] for name in _LABELS if name in labels}
    kept["annotations"] = {name: annotations[name] for name in _ANNOTATIONS if name in annotations}
    if (owner := controller(body)) is not None:
        kept["ownerReferences"] = [{"controller": True, "kind": owner["kind"], "uid": owner["uid"]}]
    spec = body.get("spec") or {}
    reported = {name: status[name] for name in _STATUS if status.get(name) is not None}
    containers = [each for each in status.get("containerStatuses") or () if each["name"] == CONTAINER]
    if containers:
        reported["containerStatuses"] = [{"name": CONTAINER, "state": containers[0].get("state") or {}}]
    if before := status.get("initContainerStatuses"):
        reported["initContainerStatuses"] = [
            {"name": each.get("name"), "state": each.get("state") or {}, "started": each.get("started")}
            for each in before
        ]
    slim_spec: dict[str, Any] = {"suspend": bool(spec.get("suspend")), "nodeName": spec.get("nodeName")}
    slim_spec |= _containers(spec)
    return {"metadata": kept, "spec": slim_spec, "status": reported}


def _containers(spec: Object) -> dict[str, list[Object]]:
    """Return of a pod's containers what a failure may have to name: the builder's, and those before it."""
    before = spec.get("initContainers") or ()
    builder = [each for each in spec.get("containers") or () if each.get("name") == CONTAINER]
    found = {
        "containers": [_container(each) for each in builder],
        "initContainers": [*map(_container, before)],
    }
    return {kind: each for kind, each in found.items() if each}


def _container(container: Object) -> Object:
    kept: Object = {name: container[name] for name in _CONTAINER if name in container}
    memory = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return kept if memory is None else {**kept, "resources": {"limits": {"memory": memory}}}


class Watched:
    """Jobs, pods, warnings and destinations, as the watches know them."""

    def __init__(self) -> None:
        self.policies = Policies()
        self.builds = KnownBuilds()
        self._jobs: dict[Name, dict[str, Object]] = {}
        self._pods: dict[Name, dict[str, Object]] = {}
        self._problems: dict[Name, dict[str, Problem]] = {}
        self._builds: dict[Name, str] = {}
        self._destinations: dict[Name, tuple[str, ...]] = {}
        self._pushers: dict[tuple[str, str], set[str]] = {}
        self._open: set[Name] = set()
        self._busy: set[Name] = set()
        self._found: set[Name] = set()

    def job(self, body: Object, *, gone: bool = False) -> None:
        """Take note of a Job."""
        self._note(self._jobs, body, gone=gone)
        annotations = body["metadata"].get("annotations") or {}
        self._count((body["metadata"]["namespace"], annotations.get(BUILD_ANNOTATION, "")))

    def _count(self, owner: Name) -> None:
        """Take note of whether an ImageBuild has a Job that goes on, after its Jobs changed."""
        self._found.discard(owner)
        if any(map(_goes_on, self._jobs.get(owner, {}).values())):
            self._busy.add(owner)
        else:
            self._busy.discard(owner)

    def found_at_start(self, jobs: Iterable[Object]) -> None:
        """Take note of Jobs that were there before the watches told of any."""
        for job in jobs:
            if _goes_on(job) and (build := (job["metadata"].get("annotations") or {}).get(BUILD_ANNOTATION)):
                self._found.add((job["metadata"]["namespace"], build))

    def settle(self) -> None:
        """Forget the Jobs of the start: the watches have told of all that are still there."""
        self._found.clear()

    def running(self) -> set[Name]:
        """Return the ImageBuilds that have a Job which goes on, and whose run has not ended."""
        return self._busy & self._open | self._found

    def pod(self, body: Object, *, gone: bool = False) -> None:
        """Take note of a pod."""
        self._note(self._pods, body, gone=gone)

    def _note(self, kept: dict[Name, dict[str, Object]], body: Object, *, gone: bool) -> None:
        metadata = body["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        owner = (namespace, (metadata.get("annotations") or {}).get(BUILD_ANNOTATION, ""))
        if gone:
            kept.get(owner, {}).pop(name, None)
            self._builds.pop((namespace, name), None)
            if not kept.get(owner):
                kept.pop(owner, None)
        else:
            kept.setdefault(owner, {})[name] = slim(body)
            self._builds[namespace, name] = owner[1]

    def warning(self, event: Object, *, gone: bool = False) -> Name | None:
        """Take note of a warning event; return the ImageBuild that it is about, where that is known."""
        about = event.get("involvedObject") or {}
        name = (about.get("namespace", ""), about.get("name", ""))
        if about.get("kind") not in {"Job", "Pod"} or not is_run(name[1]):
            return None
        if gone:
            self._problems.get(name, {}).pop(event["metadata"]["name"], None)
            if not self._problems.get(name):
                self._problems.pop(name, None)
            return None
        # A series counts its repetitions in a place of its own.
        last = (event.get("series") or {}).get("lastObservedTime") or event.get("lastTimestamp")
        last = last or event.get("eventTime") or event["metadata"].get("creationTimestamp")
        problem = Problem(event.get("reason") or "", event.get("message") or "", last and moment(last))
        self._problems.setdefault(name, {})[event["metadata"]["name"]] = problem
        build = self._builds.get(name)
        return (name[0], build) if build else None

    def build(self, namespace: str, name: str, destinations: tuple[str, ...] | None, *, ended: bool) -> None:
        """Take note of an ImageBuild: where it pushes to (None: it is gone), and whether its run ended."""
        if ended or destinations is None:
            self._open.discard((namespace, name))
            self._found.discard((namespace, name))
        else:
            self._open.add((namespace, name))
        for each in self._destinations.pop((namespace, name), ()):
            pushers = self._pushers.get((namespace, each), set())
            pushers.discard(name)
            if not pushers:
                self._pushers.pop((namespace, each), None)
        if destinations:
            self._destinations[namespace, name] = destinations
            for each in destinations:
                self._pushers.setdefault((namespace, each), set()).add(name)

    def is_open(self, namespace: str, name: str) -> bool:
        """Return whether an ImageBuild is known, and a run of it is to start or goes on."""
        return (namespace, name) in self._open

    def has_job(self, namespace: str, name: str) -> bool:
        """Return whether an ImageBuild has a Job."""
        return (namespace, name) in self._jobs

    def rivals(self, build: Build, destinations: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Return who else in the namespace pushes to the destinations of a build."""
        found = {
            (name, destination)
            for destination in destinations
            for name in self._pushers.get((build.namespace, destination), ())
            if name != build.name
        }
        return tuple((destination, name) for name, destination in sorted(found))

    def runs(self, build: Build) -> tuple[BuilderRun, ...]:
        """Return the Jobs of an ImageBuild with their pods and the warnings about them."""
        owner = (build.namespace, build.name)
        jobs, pods = (
            [each for each in kept.get(owner, {}).values() if _uid(each) == build.uid]
            for kept in (self._jobs, self._pods)
        )
        found = [read_run(job, pods, build, self.problems(build.namespace, job, pods)) for job in jobs]
        return tuple(run for run in found if run is not None)

    def problems(self, namespace: str, job: Object, pods: Iterable[Object]) -> tuple[Problem, ...]:
        """Return the warnings about a Job and its pods, oldest first."""
        name = job["metadata"]["name"]
        names = [name, *(pod["metadata"]["name"] for pod in pods if is_pod(pod, job))]
        found = [each for one in names for each in self._problems.get((namespace, one), {}).values()]
        return tuple(sorted(found, key=lambda problem: problem.last.timestamp() if problem.last else 0.0))

    def replace(self, build: Build, jobs: Iterable[Object], pods: Iterable[Object]) -> None:
        """Keep what a fresh read found of an ImageBuild instead of what the watches know."""
        owner = (build.namespace, build.name)
        for kept, fresh in ((self._jobs, jobs), (self._pods, pods)):
            others = {name: each for name, each in kept.get(owner, {}).items() if _uid(each) != build.uid}
            kept[owner] = others | {each["metadata"]["name"]: slim(each) for each in fresh}
            if not kept[owner]:
                del kept[owner]
        self._count(owner)

    def predecessors(self, build: Build) -> tuple[Pod, ...]:
        """Return the pods that still run for a deleted ImageBuild of the same name."""
        pods = self._pods.get((build.namespace, build.name), {}).values()
        return tuple(
            read_pod(each)
            for each in pods
            if _uid(each) != build.uid
            and each["status"].get("phase") not in _ENDED
            and _is_left_behind(each, build.name)
        )

    def keep_predecessors(self, build: Build, names: Iterable[str]) -> None:
        """Forget the pods of deleted ImageBuilds of this name but for those that are still there."""
        there = set(names)
        pods = self._pods.get((build.namespace, build.name), {})
        for name in [each for each, pod in pods.items() if _uid(pod) != build.uid and each not in there]:
            del pods[name]


def _goes_on(job: Object) -> bool:
    """Return whether a Job has not ended, and no queue suspends it."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    over = any(each["type"] in _OVER and each["status"] == "True" for each in conditions)
    return not over and not (job.get("spec") or {}).get("suspend")


def _uid(body: Object) -> str:
    return str(body["metadata"]["labels"].get(UID_LABEL, ""))


def _is_left_behind(pod: Object, build: str) -> bool:
    """Return whether a pod may be that of a run of a deleted ImageBuild of this name.

    Its Job may be gone before it. Nobody keeps builds from starting with a pod that only has labels, nor for
    long with one that names a Job: Kubernetes itself ends what belongs to an ImageBuild that is gone.
    """
    owner, run = controller(pod), run_of_labels(pod["metadata"]["labels"])
    if owner is None or owner["kind"] != "Job" or run is None:
        return False
    name, jobs = pod["metadata"]["name"], run_names(build, _uid(pod), *run)
    return any(is_pod_of(name, job) for job in jobs)
