"""Kubernetes objects that others make: what the operator takes from them, which must be nothing.

What an attacker wants is a status that tells of an image of theirs, or an object of others deleted. Each attack
is shown to succeed against an operator that goes by less: by labels alone, say. The same in a real cluster is
in tests/e2e/test_origin.py.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from strake_api.status import CreatedObjects, ImageBuildStatus, Phase
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Key
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.isolation import PodForm
from strake_operator.kube import reading, watched
from strake_operator.kube.watched import Watched
from strake_operator.names import job_name
from strake_operator.reconcile import origin
from strake_operator.reconcile.ends import outcome
from tests.unit.strake_operator.builders import DIGEST, NOW, SETTINGS, build

EVIL = "sha256:" + "e" * 64
RUN = job_name("hello", "uid-1", 1, 1)
MOMENT = "2026-11-22T12:00:00Z"
BUILD = build(
    ImageBuildStatus(
        observed_generation=1,
        phase=Phase.BUILDING,
        job=RUN,
        attempts=1,
        created=CreatedObjects(job="uid-of-job", request="uid-of-request"),
    )
)
Object = dict[str, Any]


def owner(kind: str, uid: str) -> list[Object]:
    return [{"apiVersion": "x/v1", "kind": kind, "name": "n", "uid": uid, "controller": True}]


def job(name: str = RUN, uid: str = "uid-of-job", *, attempt: str = "1", form: str = "nested") -> Object:
    labels = {
        "strake.dev/uid": "uid-1",
        "strake.dev/run": "1",
        "strake.dev/attempt": attempt,
        "strake.dev/isolation": form,
    }
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": uid,
        "creationTimestamp": MOMENT,
        "labels": labels,
        "annotations": {"strake.dev/imagebuild": "hello"},
        "ownerReferences": owner("ImageBuild", "uid-1"),
    }
    return {"metadata": metadata, "spec": {}, "status": {}}


def pod(its: Object, name: str = "", message: str | None = None, created: str = MOMENT) -> Object:
    """Return the pod of a Job: one that runs, or that wrote a result."""
    metadata = copy.deepcopy(its["metadata"])
    metadata["name"] = name or f"{its['metadata']['name']}-abcde"
    metadata["uid"] = f"uid-of-{metadata['name']}"
    metadata["labels"]["job-name"] = its["metadata"]["name"]
    metadata["ownerReferences"] = owner("Job", its["metadata"]["uid"])
    metadata["creationTimestamp"] = created
    state: Object = {"running": {}}
    if message is not None:
        state = {
            "terminated": {"exitCode": 0, "reason": "Completed", "message": message, "finishedAt": MOMENT}
        }
    containers = [{"name": "builder", "state": state}]
    return {"metadata": metadata, "spec": {}, "status": {"phase": "Running", "containerStatuses": containers}}


def result(**fields: Any) -> str:
    known = {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "BuildResult",
        "outcome": "Succeeded",
        "digest": EVIL,
    }
    return json.dumps(known | fields)


def without_owner(made: Object) -> Object:
    return {**made, "metadata": {**made["metadata"], "ownerReferences": []}}


class Recorder:
    """A cluster with objects of a test; it keeps the status, and what was deleted."""

    def __init__(self, jobs: list[Object], pods: list[Object]) -> None:
        self.status = BUILD.status
        self.deleted: list[str | None] = []
        self.watched = Watched()
        for each in jobs:
            self.watched.job(each)
        for each in pods:
            self.watched.pod(each)

    async def build(self, _namespace: str, _name: str) -> Any:
        return BUILD

    async def runs(self, of: Any) -> Any:
        return self.watched.runs(of)

    async def delete_run(self, _namespace: str, _job: str, uid: str | None, request: str | None) -> None:
        self.deleted += [uid, request]

    async def delete_pod(self, _namespace: str, _pod: str, uid: str | None) -> None:
        self.deleted.append(uid)

    async def check_predecessors(self, _build: Any) -> None:
        pass

    async def write_status(self, _build: Any, status: ImageBuildStatus) -> None:
        self.status = status

    async def announce(self, *_words: str) -> None:
        pass


def reconciled(jobs: list[Object], pods: list[Object]) -> Recorder:
    async def silent(_namespace: str, _pod: str) -> Any:
        return
        yield

    async def run() -> Recorder:
        cluster: Any = Recorder(jobs, pods)
        follower = Follower(silent)
        reconciler = Reconciler(
            cluster,
            follower,
            SETTINGS,
            lambda *_: None,
            lambda: NOW,
            watched=cluster.watched,
        )
        await reconciler.reconcile(Key("team", "hello"))
        await follower.close()
        return cluster

    return asyncio.run(run())


def sets_image(seen: Recorder) -> bool:
    return seen.status.digest == EVIL


def ends_build(seen: Recorder) -> bool:
    return seen.status.phase in {Phase.SUCCEEDED, Phase.FAILED}


def takes_over(seen: Recorder) -> bool:
    return seen.status.job != RUN or "uid-of-job" in seen.deleted


@dataclass(frozen=True)
class Forgery:
    """Objects that somebody made beside those of a run that goes on.

    Attributes:
        jobs: of the attacker.
        pods: of the attacker, before those of the operator.
        wanted: what the attacker wants: true where they got it.
        trusting: parts of an operator that goes by less, in place of the real ones.
    """

    jobs: tuple[Object, ...]
    pods: tuple[Object, ...]
    wanted: Callable[[Recorder], bool]
    trusting: tuple[tuple[Any, str, Any], ...]


LABELS_COUNT = ((reading, "is_controlled_by", lambda *_: True),)
ALL_COUNT = ((origin, "_is_on_status", lambda *_: True),)
PODS_BY_LABEL = (
    (reading, "is_pod", lambda pod, job: job["metadata"]["name"] in pod["metadata"]["name"]),
    (watched, "is_pod", lambda pod, job: job["metadata"]["name"] in pod["metadata"]["name"]),
)
NEWEST = ((reading, "min", lambda found, key, default: max(found, key=key, default=default)),)
ANY_IMAGE = ((outcome, "_foreign_image", lambda *_: None),)

FIRST = "2026-11-22T11:59:59Z"
SECOND = "2026-11-22T12:00:01Z"
SAME_NAME = job(uid="evil")
LATER = job(job_name("hello", "uid-1", 1, 9), "evil", attempt="9")
WEAKER = job(job_name("hello", "uid-1", 1, 1, PodForm.CHROOT), "evil", form="chroot")
OTHER = job("important", "evil", attempt="9")
MINE = job()
OWN = f"{RUN}-aaaaa"
"""A name that Kubernetes may give."""
FORGERIES: dict[str, Forgery] = {
    "a later attempt": Forgery((LATER,), (pod(LATER, message=result()),), sets_image, ALL_COUNT),
    "a weaker form": Forgery((WEAKER,), (), takes_over, ALL_COUNT),
    "a weaker form that reports": Forgery((WEAKER,), (pod(WEAKER, message=result()),), sets_image, ALL_COUNT),
    "a later attempt with labels alone": Forgery(
        (without_owner(LATER),), (pod(LATER, message=result()),), sets_image, LABELS_COUNT + ALL_COUNT
    ),
    "another owner": Forgery(
        ({**LATER, "metadata": {**LATER["metadata"], "ownerReferences": owner("ImageBuild", "uid-2")}},),
        (pod(LATER, message=result()),),
        sets_image,
        LABELS_COUNT + ALL_COUNT,
    ),
    "the UID of another kind": Forgery(
        ({**LATER, "metadata": {**LATER["metadata"], "ownerReferences": owner("ConfigMap", "uid-1")}},),
        (pod(LATER, message=result()),),
        sets_image,
        LABELS_COUNT + ALL_COUNT,
    ),
    "a Job of any name": Forgery(
        (OTHER,),
        (pod(OTHER, message=result()),),
        sets_image,
        (*ALL_COUNT, (reading, "run_names", lambda *_: {"important"})),
    ),
    "a pod with the Job's label": Forgery(
        (), (without_owner(pod(MINE, OWN, message=result(), created=FIRST)),), sets_image, PODS_BY_LABEL
    ),
    "a pod of another Job": Forgery(
        (),
        (
            pod(
                {**MINE, "metadata": {**MINE["metadata"], "uid": "evil"}},
                OWN,
                message=result(),
                created=FIRST,
            ),
        ),
        sets_image,
        PODS_BY_LABEL,
    ),
    "a second pod of the Job": Forgery(
        (), (pod(MINE, f"{RUN}-zzzzz", message=result(), created=SECOND),), sets_image, NEWEST
    ),
    "a pod whose name only begins so": Forgery(
        (), (pod(MINE, f"{RUN}-abcde-x", message=result(), created=FIRST),), sets_image, PODS_BY_LABEL
    ),
    "a failure of a pod with the label": Forgery(
        (), (without_owner(pod(MINE, OWN, message="no result", created=FIRST)),), ends_build, PODS_BY_LABEL
    ),
}


def state_of(forged: Forgery) -> tuple[list[Object], list[Object]]:
    return [MINE, *forged.jobs], [pod(MINE), *forged.pods]


@pytest.mark.parametrize("name", FORGERIES)
def test_it_is_not_taken_for_the_operators(name):
    forged = FORGERIES[name]
    seen = reconciled(*state_of(forged))
    assert not forged.wanted(seen)
    assert seen.status.phase is Phase.BUILDING
    assert set(seen.deleted) <= {"evil", None}


@pytest.mark.parametrize("name", FORGERIES)
def test_it_is_where_less_is_asked(name, monkeypatch):
    forged = FORGERIES[name]
    for module, part, replacement in forged.trusting:
        monkeypatch.setattr(module, part, replacement, raising=False)
    assert forged.wanted(reconciled(*state_of(forged)))


RESULTS: dict[str, tuple[str, tuple[tuple[Any, str, Any], ...]]] = {
    "an image elsewhere": (result(images=[f"evil.example/app@{EVIL}"]), ANY_IMAGE),
    "an image beside": (result(images=[f"r.example:5000/app@{EVIL}", f"r.example:5000/b@{EVIL}"]), ANY_IMAGE),
    "another digest": (result(images=[f"r.example:5000/app@{DIGEST}"]), ANY_IMAGE),
    "a tag": (result(images=["r.example:5000/app:1"]), ANY_IMAGE),
    "more than a kubelet keeps": (
        result(baseImages=[{"reference": "x" * 5000, "digest": EVIL}]),
        ((outcome, "TERMINATION_MESSAGE_LIMIT", 1 << 20),),
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_forged_result_sets_no_image(name):
    message, _ = RESULTS[name]
    seen = reconciled([MINE], [pod(MINE, message=message)])
    assert seen.status.phase is Phase.FAILED
    assert seen.status.image is None


@pytest.mark.parametrize("name", RESULTS)
def test_it_does_where_results_are_believed(name, monkeypatch):
    message, trusting = RESULTS[name]
    for module, part, replacement in trusting:
        monkeypatch.setattr(module, part, replacement)
    assert sets_image(reconciled([MINE], [pod(MINE, message=message)]))
