"""Kubernetes' objects as an API server writes them, read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_operator.kube.reading import read_build, read_pod, read_run
from strake_operator.kube.watched import slim
from strake_operator.names import job_name
from strake_operator.reconcile.observed import (
    Awaited,
    InvalidSpec,
    PodContainer,
    Running,
    Terminated,
    Waiting,
)
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import build

NAME = job_name("hello", "u", 2, 1)
BUILD = build(uid="u")
LABELS = {"strake.dev/uid": "u", "strake.dev/run": "2", "strake.dev/attempt": "1"}


def owner(kind, uid):
    return [{"apiVersion": "x/v1", "kind": kind, "name": "n", "uid": uid, "controller": True}]


def pod(status, created="2026-11-22T12:00:00Z", name=f"{NAME}-abcde", **metadata):
    named = {"name": name, "uid": f"uid-of-{name}", "creationTimestamp": created}
    return {
        "metadata": {**named, "labels": {"job-name": NAME}, "ownerReferences": owner("Job", "j"), **metadata},
        "status": status,
    }


def container(**state):
    return {"containerStatuses": [{"name": "other", "state": {}}, {"name": "builder", "state": state}]}


def job(status=None, **changes):
    metadata = {
        "name": NAME,
        "uid": "j",
        "labels": LABELS,
        "ownerReferences": owner("ImageBuild", "u"),
        "creationTimestamp": "2026-11-22T12:00:00Z",
        **changes,
    }
    return {"metadata": metadata, "spec": {}, "status": status or {}}


def body(**changes):
    return {
        "metadata": {
            "namespace": "team",
            "name": "hello",
            "uid": "u",
            "generation": 3,
            "resourceVersion": "9",
        },
        "spec": {
            "source": {"configMap": {"name": "c"}},
            "output": {"destinations": ["r.example/a:1"]},
        },
        **changes,
    }


def test_a_build():
    failure = {"reason": "TimedOut", "message": "late"}
    status = {"observedGeneration": 2, "phase": "Failed", "failure": failure, "laterField": 1}
    found = read_build(body(status=status))
    assert (found.namespace, found.name, found.generation, found.deleting) == ("team", "hello", 3, False)
    assert present(instance(found.spec, ImageBuildSpec).source.config_map).name == "c"
    assert found.status.phase == "Failed"


def test_the_queue_of_kueue_that_a_build_is_labelled_with():
    labelled = body(status={})
    labelled["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "builds"}
    assert read_build(labelled).queue == "builds"
    assert read_build(body(status={})).queue is None


def test_a_spec_that_the_models_refuse():
    found = read_build(body(spec={"source": {}, "output": {"destinations": ["r.example/a:1"]}}))
    assert isinstance(found.spec, InvalidSpec)
    assert "exactly one" in found.spec.message


@pytest.mark.parametrize("status", [{}, {"phase": "NotAPhase"}, {"conditions": "nonsense"}], ids=str)
def test_a_status_that_says_nothing(status):
    assert read_build(body(status=status)).status.observed_generation == -1


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Pending"}, None),
        (container(waiting={"reason": "ErrImagePull", "message": "m"}), Waiting("ErrImagePull", "m")),
        (container(), Waiting("", "")),
        (container(running={"startedAt": "2026-11-22T12:00:00Z"}), Running()),
        (
            container(
                terminated={
                    "exitCode": 137,
                    "reason": "OOMKilled",
                    "message": "its last line",
                    "finishedAt": "2026-11-22T12:00:09Z",
                }
            ),
            Terminated(137, "OOMKilled", "its last line", datetime(2026, 11, 22, 12, 0, 9, tzinfo=UTC)),
        ),
    ],
    ids=["none", "waiting", "unknown", "running", "terminated"],
)
def test_the_state_of_the_builder(status, expected):
    assert read_pod(pod(status)).container == expected


BACK_OFF = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
STARTING = {"waiting": {"reason": "PodInitializing"}}
DONE, FAILED = (
    {"terminated": {"exitCode": 0}},
    {"terminated": {"exitCode": 4, "message": "{}", "reason": "Error"}},
)


@pytest.mark.parametrize(
    ("before", "own", "expected"),
    [
        ([{"running": {}}], STARTING, Waiting("PodInitializing", "")),
        ([BACK_OFF], STARTING, Waiting("ImagePullBackOff", "no such image")),
        ([FAILED, STARTING], STARTING, Terminated(4, "Error", "{}", None)),
        ([DONE, BACK_OFF], None, Waiting("ImagePullBackOff", "no such image")),
        ([DONE, {"running": {}}], {"running": {}}, Running()),
        ([DONE, FAILED], {"running": {}}, Running()),
    ],
    ids=["a gateway", "its image", "the source", "no builder yet", "all well", "a gateway that ended once"],
)
def test_what_keeps_the_builder_from_starting_is_the_runs_state(before, own, expected):
    status = container(**own) if own else {}
    found = pod({**status, "initContainerStatuses": [{"name": "x", "state": state} for state in before]})
    assert read_pod(found).container == expected
    assert read_pod(slim(found)).container == expected


def test_an_eviction_by_the_kubelet():
    found = read_pod(pod({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}))
    assert found.disrupted == "low on memory"


def test_a_disruption_by_the_scheduler():
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    assert read_pod(pod({"phase": "Running", "conditions": [condition]})).disrupted == "PreemptionByScheduler"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "m"}, "Evicted"),
        ({"phase": "Failed", "reason": "OutOfcpu", "message": "m"}, "OutOfcpu"),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}]},
            "DeletionByPodGC",
        ),
        ({"phase": "Running"}, ""),
    ],
)
def test_a_disruption_has_kubernetes_own_word(status, word):
    assert read_pod(pod(status)).disruption == word


SPEC = {
    "nodeName": "n1",
    "initContainers": [
        {"name": "proxy", "image": "r.example/proxy", "restartPolicy": "Always"},
        {"name": "rules", "image": "r.example/rules", "resources": {"limits": {"memory": "64Mi"}}},
    ],
    "containers": [
        {"name": "other", "image": "r.example/other"},
        {
            "name": "builder",
            "image": "r.example/builder",
            "resources": {"limits": {"cpu": "1", "memory": "4Gi"}},
        },
    ],
}
GOES_ON: dict[str, dict[str, str]] = {"running": {}}


@pytest.mark.parametrize(
    ("before", "own", "expected"),
    [
        ([GOES_ON, DONE], GOES_ON, PodContainer("builder", "r.example/builder", "4Gi")),
        ([GOES_ON, FAILED], STARTING, PodContainer("rules", "r.example/rules", "64Mi")),
        ([BACK_OFF, STARTING], STARTING, PodContainer("proxy", "r.example/proxy")),
    ],
    ids=["the builder's", "one that failed", "one without an image"],
)
def test_the_container_whose_state_it_is_is_known_with_image_and_limit(before, own, expected):
    names = zip(("proxy", "rules"), before, strict=True)
    states = [{"name": name, "state": state} for name, state in names]
    body = {**pod({**container(**own), "initContainerStatuses": states}), "spec": SPEC}
    assert read_pod(body).subject == expected
    assert read_pod(slim(body)).subject == expected


@pytest.mark.parametrize(
    ("states", "own", "expected"),
    [
        ({"proxy": GOES_ON, "rules": GOES_ON}, STARTING, Awaited("rules", "end")),
        ({"proxy": {"running": {}, "started": False}}, STARTING, Awaited("proxy", "start")),
        ({"proxy": {"running": {}, "started": True}}, STARTING, None),
        ({"proxy": GOES_ON, "rules": DONE}, STARTING, None),
        ({"source": GOES_ON}, STARTING, None),
        ({"gateway": GOES_ON}, STARTING, None),
        ({"rules": GOES_ON}, GOES_ON, None),
    ],
)
def test_a_container_that_was_added_and_goes_on_is_what_the_builder_waits_for(states, own, expected):
    before = []
    for name, told in states.items():
        state = {kind: each for kind, each in told.items() if kind != "started"}
        before.append({"name": name, "state": state, "started": told.get("started")})
    body = {**pod({**container(**own), "initContainerStatuses": before}), "spec": SPEC}
    assert read_pod(body).awaited == expected
    assert read_pod(slim(body)).awaited == expected
    assert read_pod(slim(body)).fetching == ("source" in states)


def test_no_node_fits():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert read_pod(pod({"phase": "Pending", "conditions": [condition]})).unschedulable == "0/1 nodes"


def test_a_run_with_its_pod():
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    run = present(read_run(job({"conditions": [failed]}), [pod({"phase": "Running"})], BUILD))
    assert (run.job, run.number, run.attempt, run.failure) == (NAME, 2, 1, "DeadlineExceeded")
    assert run.uid == "j"
    assert (present(run.pod).name, present(run.pod).uid) == (f"{NAME}-abcde", f"uid-of-{NAME}-abcde")


@pytest.mark.parametrize(
    "forged",
    [
        pod({}, ownerReferences=[]),
        pod({}, ownerReferences=owner("Job", "of another")),
        pod({}, ownerReferences=owner("ReplicaSet", "j")),
        pod({}, ownerReferences=[{**owner("Job", "j")[0], "controller": False}]),
        pod({}, name="result"),
        pod({}, name=f"{NAME}-abcde-x"),
        pod({}, name=f"{NAME}-abcdf", created="2026-11-22T12:01:00Z"),
    ],
    ids=[
        "no owner",
        "another Job",
        "another kind",
        "no controller",
        "a name",
        "a longer name",
        "a second pod",
    ],
)
def test_a_forged_pod_is_not_the_runs(forged):
    mine = pod({"phase": "Running"})
    for pods in ([mine, forged], [forged, mine]):
        assert present(present(read_run(job(), pods, BUILD)).pod).name == f"{NAME}-abcde"


@pytest.mark.parametrize("reason", ["OutOfcpu", "OutOfmemory", "UnexpectedAdmissionError", "NodeShutdown"])
def test_what_the_kubelet_refuses_keeps_its_words(reason):
    found = read_pod(pod({"phase": "Failed", "reason": reason, "message": "Pod was rejected: no"}))
    assert "Pod was rejected: no" in present(found.disrupted)


def test_a_pod_that_is_being_deleted_ends_with_its_grace():
    leaving = pod({"phase": "Running"})
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:20Z"
    assert read_pod(leaving).ends == datetime(2026, 11, 22, 12, 0, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {"strake.dev/uid": "u"}},
        {"labels": {}},
        {"labels": {**LABELS, "strake.dev/attempt": "2"}},
        {"labels": {**LABELS, "strake.dev/run": "02"}},
        {"labels": {**LABELS, "strake.dev/isolation": "chroot"}},
        {"labels": {**LABELS, "strake.dev/isolation": "none"}},
        {"name": "important"},
        {"name": job_name("hello", "another", 2, 1)},
        {"ownerReferences": []},
        {"ownerReferences": None},
        {"ownerReferences": owner("ImageBuild", "another")},
        {"ownerReferences": owner("ConfigMap", "u")},
        {"ownerReferences": [{**owner("ImageBuild", "u")[0], "controller": None}]},
    ],
    ids=str,
)
def test_somebody_elses_job(changes):
    assert read_run(job(**changes), [], BUILD) is None


@pytest.mark.parametrize(
    ("sidecars", "report"),
    [
        ([], None),
        ([{"name": "gateway", "state": {"running": {}}}], None),
        ([{"name": "gateway", "state": {"terminated": {"message": "{}", "exitCode": 0}}}], "{}"),
        ([{"name": "gateway", "state": {"terminated": {"exitCode": 137}}}], ""),
        ([{"name": "other", "state": {"terminated": {"message": "{}", "exitCode": 0}}}], None),
    ],
)
def test_what_the_gateway_reported_is_its_own_as_it_ended(sidecars, report):
    body = pod({"phase": "Succeeded", "initContainerStatuses": sidecars})
    assert read_pod(body).log_report == report
    assert read_pod(slim(body)).log_report == report


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("linux-arm64", "linux-arm64", "linux-arm64"),
        ("index", "index", "index"),
        (None, None, None),
        ("index", "source", "no run"),
        ("index", None, "no run"),
        (None, "index", "no run"),
        ("evil", "evil", "no run"),
    ],
)
def test_a_job_is_the_part_that_its_name_and_its_label_tell(name, label, expected):
    labels = LABELS if label is None else {**LABELS, "strake.dev/part": label}
    found = read_run(job(name=job_name("hello", "u", 2, 1, part=name), labels=labels), [], BUILD)
    assert ("no run" if found is None else found.part) == expected
