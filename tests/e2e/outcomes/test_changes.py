"""What happens to a build while it runs: changed, deleted, its pod or its operator taken away."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import NODE_IP
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import (
    build,
    building,
    conditions,
    finished,
    gated,
    jobs,
    manifest,
    pods,
    status_of,
    until,
)
from tests.e2e.operators import kill_operator, operators

SLOW = "FROM TINY\nRUN echo started && sleep 600\n"


def test_a_changed_spec_starts_a_new_run(namespace):
    apply(manifest(SLOW), namespace)
    old = building(namespace, "sleep 600")
    (old_pod,) = pods(namespace)
    apply(manifest("FROM TINY\nRUN echo quick\n"), namespace)
    status = finished(namespace, generation=2)
    assert status["phase"] == "Succeeded", status
    assert status["job"] != old["job"]
    assert jobs(namespace) == [status["job"]]
    assert old_pod not in pods(namespace)


def test_runs_that_ended_are_remembered(namespace):
    apply(manifest("FROM TINY\nRUN exit 1\n"), namespace)
    finished(namespace)
    apply(manifest("FROM TINY\nRUN exit 0\n"), namespace)
    _, last = finished(namespace, generation=2)["history"]
    assert (last["generation"], last["phase"], last["reason"]) == (1, "Failed", "RunStepFailed")


def test_a_deleted_build_stops_its_pod(namespace):
    apply(manifest(SLOW), namespace)
    building(namespace, "sleep 600")
    kubectl("delete", "ib", "app", "-n", namespace)
    until(
        lambda: pods(namespace) == [] and jobs(namespace) == [],
        "the pod and the Job to be gone",
        lambda: [pods(namespace), jobs(namespace)],
    )
    leftover = [each["metadata"]["name"] for each in get("configmaps", "-n", namespace)["items"]]
    assert leftover == ["kube-root-ca.crt"]


def test_a_deleted_job_cancels_the_build(namespace):
    apply(manifest(SLOW), namespace)
    status = building(namespace, "sleep 600")
    kubectl("delete", "job", status["job"], "-n", namespace)
    assert finished(namespace)["failure"]["reason"] == "Cancelled"


@pytest.mark.usefixtures("alone")
def test_a_restarted_operator_adopts_and_finishes(namespace):
    text, open_gate = gated(namespace)
    apply(manifest(text), namespace)
    before = building(namespace, "until wget")
    (pod,) = pods(namespace)
    kill_operator()
    open_gate()
    status = finished(namespace)
    assert status["phase"] == "Succeeded", status
    assert (status["job"], status["attempts"]) == (before["job"], 1)
    assert pods(namespace) == [pod]


@pytest.mark.usefixtures("alone")
def test_a_build_that_ended_without_an_operator_is_harvested(namespace):
    text, open_gate = gated(namespace)
    apply(manifest(text), namespace)
    status = building(namespace, "until wget")
    kubectl("-n", NAMESPACE, "scale", "deployment/strake-operator", "--replicas=0")
    try:
        until(lambda: operators() == [], "the operator to be gone", operators)
        open_gate()
        kubectl("wait", f"job/{status['job']}", "-n", namespace, "--for=condition=Complete", "--timeout=200s")
        assert conditions(status_of(namespace))["Finished"] == "False"
    finally:
        kubectl("-n", NAMESPACE, "scale", "deployment/strake-operator", "--replicas=1")
    assert finished(namespace)["phase"] == "Succeeded"


def test_a_builder_that_is_evicted_starts_again(namespace):
    text, open_gate = gated(namespace)
    apply(manifest(text), namespace)
    building(namespace, "until wget")
    (pod,) = pods(namespace)
    kubectl("delete", "pod", pod, "-n", namespace, "--grace-period=1")
    open_gate()
    status = finished(namespace)
    assert status["phase"] == "Succeeded", status
    assert status["attempts"] == 2
    (entry,) = status["history"]
    assert [(each["attempt"], each["reason"]) for each in entry["retries"]] == [(1, "Evicted")]
    assert "starting again after 10 s" in kubectl(
        "get", "events", "-n", namespace, "--field-selector=reason=Retrying"
    )


def test_a_registry_that_does_not_answer_costs_an_attempt(namespace):
    nowhere = {"destinations": [f"{NODE_IP}:9/app:1"]}
    status = build(namespace, "FROM TINY\nRUN true\n", output=nowhere, retries=1)
    assert (status["failure"]["reason"], status["attempts"]) == ("PushFailed", 2), status
    assert [each["reason"] for each in status["history"][0]["retries"]] == ["PushFailed"]
    apply(manifest("FROM TINY\nRUN exit 3\n", name="wrong", retries=1), namespace)
    failing = finished(namespace, name="wrong")
    assert (failing["failure"]["reason"], failing["attempts"]) == ("RunStepFailed", 1), failing


@pytest.mark.usefixtures("alone")
def test_installing_again_changes_nothing(platform, namespace):
    """`kubectl apply -k deploy/` is what people repeat: the second time must not be refused."""
    platform.install()
    assert build(namespace, "FROM TINY\nRUN true\n")["phase"] == "Succeeded"
