"""Kubernetes' objects as an API server writes them, read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_operator.kube.reading import read_build, read_pod, read_run
from strake_operator.reconcile.observed import InvalidSpec, Running, Terminated, Waiting
from tests.fixtures.narrow import instance, present

LABELS = {"strake.dev/uid": "u", "strake.dev/generation": "2", "strake.dev/attempt": "1"}


def pod(status, created="2026-11-22T12:00:00Z", name="job-x"):
    return {
        "metadata": {"name": name, "labels": {"job-name": "job"}, "creationTimestamp": created},
        "status": status,
    }


def container(**state):
    return {"containerStatuses": [{"name": "other", "state": {}}, {"name": "builder", "state": state}]}


def job(**status):
    metadata = {"name": "job", "labels": LABELS, "creationTimestamp": "2026-11-22T12:00:00Z"}
    return {"metadata": metadata, "spec": {}, "status": status}


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
    build = read_build(body(status={"observedGeneration": 2, "phase": "Failed", "laterField": 1}))
    assert (build.namespace, build.name, build.generation, build.deleting) == ("team", "hello", 3, False)
    assert present(instance(build.spec, ImageBuildSpec).source.config_map).name == "c"
    assert build.status.phase == "Failed"


def test_a_spec_that_the_models_refuse():
    build = read_build(body(spec={"source": {}, "output": {"destinations": ["r.example/a:1"]}}))
    assert isinstance(build.spec, InvalidSpec)
    assert "exactly one" in build.spec.message


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


def test_an_eviction_by_the_kubelet():
    found = read_pod(pod({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}))
    assert found.disrupted == "low on memory"


def test_a_disruption_by_the_scheduler():
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    assert read_pod(pod({"phase": "Running", "conditions": [condition]})).disrupted == "PreemptionByScheduler"


def test_no_node_fits():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert read_pod(pod({"phase": "Pending", "conditions": [condition]})).unschedulable == "0/1 nodes"


def test_a_run_with_its_newest_pod():
    pods = [
        pod({"phase": "Failed"}, name="first"),
        pod({"phase": "Running"}, created="2026-11-22T12:01:00Z", name="second"),
    ]
    failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
    run = read_run(job(conditions=[failed]), pods)
    assert (present(run).job, present(run).generation, present(run).attempt, present(run).failure) == (
        "job",
        2,
        1,
        "DeadlineExceeded",
    )
    assert present(present(run).pod).name == "second"


@pytest.mark.parametrize("reason", ["OutOfcpu", "OutOfmemory", "UnexpectedAdmissionError", "NodeShutdown"])
def test_what_the_kubelet_refuses_keeps_its_words(reason):
    found = read_pod(pod({"phase": "Failed", "reason": reason, "message": "Pod was rejected: no"}))
    assert "Pod was rejected: no" in present(found.disrupted)


def test_a_pod_that_is_being_deleted_ends_with_its_grace():
    leaving = pod({"phase": "Running"})
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:20Z"
    assert read_pod(leaving).ends == datetime(2026, 11, 22, 12, 0, 20, tzinfo=UTC)


def test_somebody_elses_job():
    other = job()
    other["metadata"]["labels"] = {"strake.dev/uid": "u"}
    assert read_run(other, []) is None
