"""Objects that others make in a namespace: none of them is taken for the operator's.

The cluster's own policy, which refuses them, is taken away meanwhile: see test_admission.py.
"""

from __future__ import annotations

import json

import pytest

from strake_operator.names import job_name
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, read, refusal_of
from tests.cluster.settings import REGISTRY
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import (
    build,
    building,
    finished,
    gated,
    jobs,
    manifest,
    ready,
    run_image,
    status_of,
    until,
)
from tests.e2e.conftest import TINY

OPERATOR = "app.kubernetes.io/name=strake-operator"
POLICY = "strake-origin"
pytestmark = pytest.mark.usefixtures("alone", "unguarded")
FORGED = json.dumps(
    {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "BuildResult",
        "outcome": "Succeeded",
        "digest": "sha256:" + "ab" * 32,
    }
)


@pytest.fixture(scope="module")
def unguarded(platform):
    """Let everybody make objects with Strake's labels, while no other test is."""
    labelled = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "try", "labels": {"strake.dev/uid": "x"}},
    }

    def admitted() -> bool:
        return not refusal_of("configmaps", "default", labelled)

    with platform.used(alone=True):  # in its usual settings: to change them later would bring the policy back
        kubectl("delete", "validatingadmissionpolicybinding", POLICY)
        try:
            until(admitted, "the policy to be gone", lambda: POLICY)
            yield
        finally:
            platform.install()
            until(lambda: not admitted(), "the policy to be back", lambda: POLICY)


def forged_job(namespace, name, *, attempt=1, owned=True):
    """Return a Job with everything of a run that can be copied; its pod reports a success."""
    made = read("imagebuilds", namespace, "app")["metadata"]
    labels = {
        "strake.dev/uid": made["uid"],
        "strake.dev/run": str(made["generation"]),
        "strake.dev/attempt": str(attempt),
    }
    owner = {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "name": "app",
        "uid": made["uid"],
        "controller": True,
    }
    metadata = {
        "name": name,
        "labels": labels,
        "annotations": {"strake.dev/imagebuild": "app"},
        "ownerReferences": [owner] if owned else [],
    }
    container = {
        "name": "builder",
        "image": TINY,
        "command": ["sh", "-c", f"printf %s '{FORGED}' > /dev/termination-log"],
    }
    template = {
        "metadata": {"labels": labels, "annotations": metadata["annotations"]},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {"backoffLimit": 0, "template": template},
    }


def run_of(namespace, attempt=1, generation=1):
    return job_name("app", read("imagebuilds", namespace, "app")["metadata"]["uid"], generation, attempt)


def test_jobs_of_another_tell_nothing_and_delete_nothing(namespace):
    apply(manifest("FROM TINY\nRUN sleep 8\n"), namespace)
    building(namespace, "sleep")
    forged = {
        "important": forged_job(namespace, "important"),
        "not-owned": forged_job(namespace, "not-owned", owned=False),
        run_of(namespace, 9): forged_job(namespace, run_of(namespace, 9), attempt=9),
    }
    for name, job in forged.items():
        kubectl("create", "configmap", name, "--from-literal=a=b", "-n", namespace)
        apply(job, namespace)
    status = finished(namespace)
    assert status["phase"] == "Succeeded"
    assert status["digest"] != "sha256:" + "ab" * 32
    for name in forged:
        assert read("configmaps", namespace, name)["data"] == {"a": "b"}


def test_a_request_that_was_there_before_is_refused_with_the_secrets_unused(namespace):
    first = build(namespace, 'FROM TINY\nRUN echo honest > /v\nCMD ["cat", "/v"]\n')
    name = run_of(namespace, generation=2)
    request = json.loads(read("configmaps", namespace, first["job"])["data"]["request.json"])
    request["source"]["inline"]["files"]["Dockerfile"] = (
        f'FROM {TINY}\nRUN echo evil > /v\nCMD ["cat", "/v"]\n'
    )
    kubectl(
        "create", "configmap", name, f"--from-literal=request.json={json.dumps(request)}", "-n", namespace
    )
    apply(manifest('FROM TINY\nRUN echo honest again > /v\nCMD ["cat", "/v"]\n'), namespace)
    status = finished(namespace, generation=2)
    assert (status["phase"], status["failure"]["reason"]) == ("Failed", "InvalidRequest")
    assert "ConfigMap with the name of the Job" in ready(status)["message"]
    assert run_image(namespace, f"{REGISTRY}/e2e/app:1").strip() == "honest"
    kubectl("delete", "imagebuild", "app", "-n", namespace)
    assert "evil" in read("configmaps", namespace, name)["data"]["request.json"], "it is somebody else's"


def test_a_job_that_was_there_before_fails_the_build_and_stays(namespace):
    build(namespace, "FROM TINY\nRUN true\n")
    name = run_of(namespace, generation=2)
    apply(forged_job(namespace, name, owned=False), namespace)
    apply(manifest("FROM TINY\nRUN echo 2\n"), namespace)
    status = finished(namespace, generation=2)
    assert status["failure"]["reason"] == "PolicyDenied"
    assert f"Job {name} is there already" in ready(status)["message"]
    assert name in jobs(namespace)


def test_an_operator_that_forgot_its_job_finds_it_again(namespace):
    """It was stopped between the Job's creation and the write of the status."""
    text, open_gate = gated(namespace)
    apply(manifest(text), namespace)
    building(namespace, "until wget")
    before = read("jobs", namespace, run_of(namespace))["metadata"]["uid"]
    kubectl("-n", NAMESPACE, "scale", "deployment/strake-operator", "--replicas=0")
    try:
        kubectl("-n", NAMESPACE, "wait", "pod", "-l", OPERATOR, "--for=delete", "--timeout=200s")
        forgotten = ("--subresource=status", "--type=merge", "-p", '{"status": null}')
        kubectl("patch", "imagebuild", "app", "-n", namespace, *forgotten)
    finally:
        kubectl("-n", NAMESPACE, "scale", "deployment/strake-operator", "--replicas=1")
    until(lambda: "created" in status_of(namespace), "the Job's UID", lambda: status_of(namespace))
    assert status_of(namespace)["created"]["job"] == before
    open_gate()
    status = finished(namespace)
    assert status["phase"] == "Succeeded"
    assert status["attempts"] == 1
