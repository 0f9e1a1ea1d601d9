"""A Job that others suspend, as Kueue does, and Kueue itself: its build waits, and goes on when it is let go.

Kueue suspends every Job of the cluster that names a queue, so no other file has such Jobs.
"""

from __future__ import annotations

import json

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.e2e.builds import building, finished, gated, jobs, manifest, pods, ready, status_of, until
from tests.e2e.intrusions import admission, cluster_wide
from tests.e2e.kueue import QUEUE, kueue

JOBS = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}


def queueing(namespace):
    """Have Jobs that name a queue suspended when they are made, as Kueue's webhook does."""
    rules = {
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [JOBS],
        },
        "matchConditions": [
            {
                "name": "queued",
                "expression": f"has(object.metadata.labels) && '{QUEUE}' in object.metadata.labels",
            }
        ],
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{spec: Object.spec{suspend: true}}"},
            }
        ],
    }
    return cluster_wide(*admission("MutatingAdmissionPolicy", namespace, f"queue-{namespace}", rules))


def is_suspended_at_once(namespace):
    """Return whether the API server goes by the policy."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "c"}]}}
    metadata = {"name": "probe", "labels": {QUEUE: "builds"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}
    made = kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-", manifest=job)
    return json.loads(made)["spec"]["suspend"]


def suspend(namespace, value):
    (name,) = jobs(namespace)
    patch = json.dumps({"spec": {"suspend": value}})
    kubectl("patch", "job", name, "-n", namespace, "--type=merge", "-p", patch)


def waits(namespace):
    status = status_of(namespace)
    return (status.get("phase"), ready(status).get("reason")) == ("Queued", "Suspended")


def test_a_build_waits_while_its_job_is_suspended_and_goes_on_when_it_is_let_go(namespace):
    text, open_gate = gated(namespace)
    with queueing(namespace):
        until(lambda: is_suspended_at_once(namespace), "the policy to be in force", lambda: "")
        queued = manifest(text)
        queued["metadata"]["labels"] = {QUEUE: "builds"}
        apply(queued, namespace)
        until(lambda: waits(namespace), "the build to wait", lambda: status_of(namespace))
    assert pods(namespace) == []
    assert "is suspended: the queue that did so lets it go on" in ready(status_of(namespace))["message"]
    suspend(namespace, value=False)
    building(namespace, "RUN until")
    # Its room is taken away again, and its pod with it.
    suspend(namespace, value=True)
    until(lambda: waits(namespace) and pods(namespace) == [], "it to wait", lambda: status_of(namespace))
    suspend(namespace, value=False)
    building(namespace, "RUN until")
    open_gate()
    status = finished(namespace)
    assert (status["phase"], status["attempts"], status.get("retries")) == ("Succeeded", 1, None), status


@pytest.fixture
def queue(namespace, tmp_path):
    """A LocalQueue `builds` of Kueue's, in which one Job runs at a time."""
    with kueue(namespace, tmp_path, pods=1):
        yield


def queued(name: str, text: str) -> dict:
    made = manifest(text, name=name)
    made["metadata"]["labels"] = {QUEUE: "builds"}
    return made


def phase(namespace, name):
    status = status_of(namespace, name)
    return status.get("phase"), ready(status).get("reason")


def workloads(namespace: str) -> tuple[int, int]:
    """How many Workloads Kueue has made in `namespace`, and how many of them it has admitted."""
    made = get("workloads.kueue.x-k8s.io", "-n", namespace)["items"]
    return len(made), sum("admission" in each.get("status", {}) for each in made)


def test_a_build_waits_until_kueue_admits_its_job(namespace, queue):
    text, open_gate = gated(namespace)
    apply(queued("first", text), namespace)
    until(
        lambda: phase(namespace, "first")[0] == "Building",
        "the first to run",
        lambda: status_of(namespace, "first"),
    )
    apply(queued("second", "FROM TINY\nRUN true\n"), namespace)
    until(
        lambda: phase(namespace, "second") == ("Queued", "Suspended"),
        "the second to wait",
        lambda: status_of(namespace, "second"),
    )
    # A Job is suspended as it is created; Kueue makes its Workload afterwards.
    until(lambda: workloads(namespace) == (2, 1), "one of two Workloads", lambda: str(workloads(namespace)))
    open_gate()
    for name in ("first", "second"):
        status = finished(namespace, name=name)
        assert (status["phase"], status["attempts"], status.get("retries")) == ("Succeeded", 1, None), status
