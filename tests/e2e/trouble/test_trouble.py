"""Trouble that clusters make: what refuses the builder's objects, nodes that do not answer, hands on objects."""

from __future__ import annotations

import json

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get, read
from tests.cluster.settings import PAUSE_IMAGE
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
from tests.e2e.intrusions import SIDECAR, bound_pod, builder, cluster_wide, ghost_node, injected, report

QUICK = "FROM TINY\nRUN true\n"
SLOW = "FROM TINY\nRUN echo started && sleep 600\n"


def broken_webhook(name, namespace, group, resource):
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "down.strake.example",
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "clientConfig": {"url": "https://127.0.0.1:9/deny"},
                "rules": [
                    {
                        "apiGroups": [group],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": [resource],
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(("group", "resource"), [("batch", "jobs"), ("", "pods")], ids=["jobs", "pods"])
def test_a_webhook_that_is_down_is_named_and_waited_for(namespace, group, resource):
    with cluster_wide(broken_webhook(f"down-{namespace}", namespace, group, resource)):
        apply(manifest(QUICK), namespace)
        building(namespace, "failed calling webhook")
        status = status_of(namespace)
        assert ready(status)["reason"] == "ClusterUnavailable"
        assert conditions(status)["Finished"] == "False"
    assert finished(namespace)["phase"] == "Succeeded"


def test_a_limit_range_that_admits_no_builder(namespace):
    limits = [{"type": "Container", "min": {"memory": "1Gi"}}]
    apply(
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": limits}},
        namespace,
    )
    apply(manifest(QUICK), namespace)
    building(namespace, "minimum memory usage per Container is 1Gi")
    failure = finished(namespace)["failure"]
    assert failure["reason"] == "PolicyDenied"
    assert "minimum memory usage per Container is 1Gi" in failure["message"]


def test_a_quota_that_wants_limits_gets_them(namespace):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    hard = {"limits.memory": "8Gi", "limits.cpu": "8", "limits.ephemeral-storage": "40Gi"}
    apply({**quota, "spec": {"hard": hard}}, namespace)
    apply(manifest(QUICK), namespace)
    assert finished(namespace)["phase"] == "Succeeded"


@pytest.fixture
def ghost(namespace):
    with ghost_node(namespace):
        yield


def test_a_node_that_refuses_the_pod_costs_an_attempt(namespace, ghost):
    apply(manifest(QUICK), namespace)
    first = bound_pod(namespace)
    report(namespace, first, phase="Failed", reason="OutOfcpu", message="Pod was rejected: no cpu")
    second = bound_pod(namespace, but=[first])
    report(namespace, second, phase="Failed", reason="Evicted",
           message="Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ")  # fmt: skip
    status = finished(namespace)
    assert (status["failure"]["reason"], status["attempts"]) == ("OutOfDisk", 2)


def test_an_image_pull_that_fails_once_is_waited_for(namespace, ghost):
    apply(manifest(QUICK), namespace)
    pod = bound_pod(namespace)
    report(namespace, pod, phase="Pending",
           containerStatuses=builder(waiting={"reason": "ErrImagePull", "message": "QPS exceeded"}))  # fmt: skip
    building(namespace, "QPS exceeded")
    assert conditions(status_of(namespace))["Finished"] == "False"
    result = {
        "apiVersion": "strake.dev/v1alpha1", "kind": "BuildResult", "outcome": "Succeeded",
        "digest": "sha256:" + "a" * 64,
    }  # fmt: skip
    ended = {"exitCode": 0, "reason": "Completed", "message": json.dumps(result)}
    # A container that somebody else put there goes on.
    report(namespace, pod, phase="Running", containerStatuses=builder(terminated=ended))
    assert finished(namespace)["phase"] == "Succeeded"


def before(image):
    """Return what puts a container before the others of a pod, with the command of its image."""
    container = f'Object.spec.initContainers{{name: "rules", image: "{image}"}}'
    return f"Object{{spec: Object.spec{{initContainers: [{container}]}}}}"


@pytest.mark.parametrize(
    ("text", "outcome"), [(QUICK, "Succeeded"), ("FROM TINY\nRUN exit 3\n", "Failed")], ids=["good", "bad"]
)
def test_a_sidecar_that_does_not_end_costs_no_result(namespace, text, outcome):
    with injected(namespace, f"sidecar-{namespace}", SIDECAR, sign='"sidecar"'):
        apply(manifest(text), namespace)
        status = finished(namespace)
        assert (status["phase"], status["attempts"]) == (outcome, 1), status
        assert status.get("failure", {}).get("exitCode") == (None if outcome == "Succeeded" else 3)
        log = kubectl("logs", f"job/{status['job']}", "-c", "builder", "-n", namespace)
        assert f"[stage-0] {text.splitlines()[1]}" in log
        failed: list[dict] = []

        def gone() -> bool:
            items = read("jobs", namespace, labels=UID)["items"]
            failed.extend(each for each in items if each["status"].get("failed"))
            return not items and pods(namespace) == []

        until(gone, "the end of the sidecar's pod", lambda: pods(namespace))
    assert failed == []
    assert status_of(namespace) == status


def test_a_container_that_somebody_puts_before_the_builder_is_named(namespace):
    """While it goes on, and when it fails: the builder's own words it has not."""
    apply(manifest("FROM TINY\nCMD exit 3\n", name="bad"), namespace)
    bad = finished(namespace, name="bad")["image"]
    merged = {"sign": '"rules"', "way": "ApplyConfiguration"}
    with injected(namespace, f"before-{namespace}", before(PAUSE_IMAGE), **merged):
        apply(manifest(QUICK), namespace)
        building(namespace, "it waits for container rules, which a rule of the cluster added to the pod")
        kubectl("annotate", "ib", "app", "-n", namespace, "strake.dev/cancel=1")
        assert finished(namespace)["failure"]["reason"] == "Cancelled"
    with injected(namespace, f"failing-{namespace}", before(bad), **{**merged, "sign": bad}):
        apply(manifest(QUICK, name="other"), namespace)
        failure = finished(namespace, name="other")["failure"]
    assert failure["reason"] == "Unsupported", failure
    assert "container rules, which a rule of the cluster added to the pod" in failure["message"]
    assert "ended with status 3" in failure["message"]


def test_delete_and_apply_never_run_at_the_same_time(namespace):
    apply(manifest(SLOW), namespace)
    building(namespace, "sleep 600")
    (old,) = pods(namespace)
    kubectl("delete", "ib", "app", "-n", namespace)
    apply(manifest(QUICK), namespace)
    together = []

    def ended() -> bool:
        items = read("pods", namespace, labels=UID)["items"]
        now = [
            each["metadata"]["name"] for each in items if each["status"]["phase"] in {"Pending", "Running"}
        ]
        if old in now and len(now) > 1:
            together.append(now)
        return conditions(status_of(namespace)).get("Finished") == "True"

    until(ended, "the second build's end", lambda: status_of(namespace))
    assert together == []
    assert status_of(namespace)["phase"] == "Succeeded"


def test_two_builds_of_one_tag_are_reported(namespace):
    apply([manifest(QUICK), {**manifest(QUICK), "metadata": {"name": "other"}}], namespace)
    warnings = [finished(namespace, name=name).get("warnings", []) for name in ("app", "other")]
    assert any("pushes to" in warning for each in warnings for warning in each), warnings


def test_a_build_that_a_foreign_finalizer_holds_is_stopped(namespace):
    held = manifest(SLOW)
    held["metadata"]["finalizers"] = ["example.com/hold"]
    apply(held, namespace)
    building(namespace, "sleep 600")
    kubectl("delete", "ib", "app", "-n", namespace, "--wait=false")
    try:
        until(lambda: jobs(namespace) == [], "the Job to be gone", lambda: jobs(namespace))
        assert get("ib", "app", "-n", namespace)["metadata"]["deletionTimestamp"]
    finally:
        kubectl(
            "patch", "ib", "app", "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )


def test_a_status_without_conditions_is_mended(namespace):
    apply(manifest(QUICK), namespace)
    finished(namespace)
    bare = '{"status":{"conditions":null}}'
    kubectl("patch", "ib", "app", "-n", namespace, "--subresource=status", "--type=merge", "-p", bare)
    assert finished(namespace)["phase"] == "Succeeded"
    apply(manifest("FROM TINY\nRUN echo again\n"), namespace)
    assert finished(namespace, generation=2)["phase"] == "Succeeded"


def test_who_wrote_the_status_and_why_it_failed(namespace):
    apply(manifest("FROM TINY\nRUN false\n"), namespace)
    finished(namespace)
    assert "RunStepFailed" in kubectl("get", "ib", "app", "-n", namespace)
    fields = get("ib", "app", "-n", namespace)["metadata"]["managedFields"]
    assert "strake-operator" in {each["manager"] for each in fields}
    assert "Stalled" in kubectl("explain", "ib.status.conditions")
