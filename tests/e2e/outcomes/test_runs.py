"""Runs that people ask for and end: annotations that count once for each value, and a build that is suspended."""

from __future__ import annotations

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get, read
from tests.e2e.builds import (
    UID,
    building,
    conditions,
    finished,
    jobs,
    manifest,
    pods,
    ready,
    status_of,
    until,
)

SLOW = "FROM TINY\nRUN echo started && sleep 600\n"


def annotate(namespace, **values):
    asks = [f"strake.dev/{name}={value}" for name, value in values.items()]
    kubectl("annotate", "ib", "app", "-n", namespace, "--overwrite", *asks)


def suspend(namespace, value):
    patch = f'{{"spec": {{"suspend": {value}}}}}'
    kubectl("patch", "ib", "app", "-n", namespace, "--type=merge", "-p", patch)


def of_run(namespace, number):
    """Wait for the end of a run; return the status."""

    def ended():
        status = status_of(namespace)
        return status.get("run", {}).get("number") == number and conditions(status).get("Finished") == "True"

    until(ended, f"the end of run {number}", lambda: status_of(namespace))
    return status_of(namespace)


def test_a_run_is_cancelled_and_started_again(namespace):
    apply(manifest(SLOW), namespace)
    first = building(namespace, "sleep 600")
    annotate(namespace, cancel="1")
    status = of_run(namespace, 1)
    assert (status["phase"], status["failure"]["reason"]) == ("Failed", "Cancelled")
    assert conditions(status)["Stalled"] == "True", "what kstatus, Flux and Argo CD look at"
    until(lambda: pods(namespace) == [] and jobs(namespace) == [], "no pod", lambda: pods(namespace))
    annotate(namespace, rerun="1")
    second = building(namespace, "sleep 600")
    assert second["job"] != first["job"]
    assert (second["run"]["number"], second["run"]["trigger"]) == (2, "Rerun")
    assert second["run"]["requestedBy"] == "kubectl-annotate"
    # As a GitOps tool does: the same manifest again, with what was asked for before.
    again = manifest(SLOW)
    again["metadata"]["annotations"] = {"strake.dev/rerun": "1", "strake.dev/cancel": "1"}
    apply(again, namespace)
    quick = manifest("FROM TINY\nRUN true\n")
    quick["metadata"]["annotations"] = again["metadata"]["annotations"]
    apply(quick, namespace)
    third = of_run(namespace, 3)
    assert third["phase"] == "Succeeded", third
    assert [(each["number"], each["reason"]) for each in third["history"]] == [
        (3, "Pushed"), (2, "Superseded"), (1, "Cancelled"),
    ]  # fmt: skip
    assert jobs(namespace) == [third["job"]]


def test_a_suspended_build_waits_and_is_not_built_anew(namespace):
    apply(manifest("FROM TINY\nRUN true\n", suspend=True), namespace)
    until(
        lambda: ready(status_of(namespace)).get("reason") == "Suspended",
        "Suspended",
        lambda: status_of(namespace),
    )
    assert jobs(namespace) == []
    suspend(namespace, "false")
    built = finished(namespace, generation=2)
    assert (built["phase"], built["run"]["number"]) == ("Succeeded", 1)
    suspend(namespace, "true")
    suspend(namespace, "false")
    until(
        lambda: status_of(namespace)["observedGeneration"] == 4,
        "the operator to have seen both",
        lambda: status_of(namespace),
    )
    status = status_of(namespace)
    assert (status["run"], status["image"], status["job"]) == (built["run"], built["image"], built["job"])
    assert conditions(status)["Ready"] == "True"


def test_a_status_that_somebody_changed_is_mended_and_told(namespace):
    apply(manifest("FROM TINY\nRUN true\n"), namespace)
    before = finished(namespace)
    patch = '{"status": {"observedGeneration": 99, "image": null, "digest": null}}'
    kubectl("patch", "ib", "app", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    until(
        lambda: status_of(namespace).get("digest") == before["digest"],
        "the digest",
        lambda: status_of(namespace),
    )
    assert finished(namespace)["job"] == before["job"]

    def told() -> set[str]:
        events = get("events", "-n", namespace)["items"]
        return {each["message"] for each in events if each["reason"] == "StatusChanged"}

    until(
        lambda: any("observedGeneration is 99" in message for message in told()),
        "the event, which comes after the status",
        lambda: sorted(told()),
    )
    assert len(read("jobs", namespace)["items"]) == 1


def test_what_is_kept_of_runs_and_the_build_stays(namespace):
    retention = {"successfulRuns": 2, "failedRuns": 0, "ttlAfterSuccess": "10m"}
    apply(manifest("FROM TINY\nRUN true\n", retention=retention), namespace)
    first = finished(namespace)["job"]
    for number in (2, 3):
        annotate(namespace, rerun=number)
        of_run(namespace, number)
    assert [each["number"] for each in status_of(namespace)["history"]] == [3, 2]
    until(lambda: len(jobs(namespace)) == 2, "two Jobs", lambda: jobs(namespace))
    assert first not in jobs(namespace)
    kubectl(
        "patch", "ib/app", "-n", namespace, "--type=merge",
        '-p={"spec": {"retention": {"ttlAfterSuccess": "1s"}}}',
    )  # fmt: skip
    until(lambda: jobs(namespace) == [], "no Job", lambda: jobs(namespace))
    kept = lambda: read("configmaps", namespace, labels=UID)["items"]  # noqa: E731 - asked twice
    until(lambda: kept() == [], "no ConfigMap", kept)
    status = status_of(namespace)
    assert (status["phase"], status["run"]["number"]) == ("Succeeded", 3), status
