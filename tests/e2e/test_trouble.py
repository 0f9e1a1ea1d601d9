"""Trouble that clusters make: what refuses the builder's objects, nodes that do not answer, hands on objects."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from tests.cluster.kubectl import apply, get, kubectl
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import UID, building, conditions, finished, jobs, manifest, pods, status_of, until

QUICK = "FROM TINY\nRUN true\n"
SLOW = "FROM TINY\nRUN echo started && sleep 600\n"
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


@contextmanager
def cluster_wide(*objects):
    """Have objects in the cluster, whose namespace is none, for as long as the context lasts."""
    apply(list(objects))
    try:
        yield
    finally:
        for each in objects:
            kubectl("delete", each["kind"], each["metadata"]["name"], "--ignore-not-found", "--wait=false")


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


def ready(status):
    return next(each for each in status["conditions"] if each["type"] == "Ready")


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


def test_a_quota_that_wants_limits(namespace):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    apply({**quota, "spec": {"hard": {"limits.memory": "4Gi"}}}, namespace)
    apply(manifest(QUICK), namespace)
    building(namespace, "must specify limits.memory")
    assert finished(namespace)["failure"]["reason"] == "PolicyDenied"


def test_a_secret_that_comes_late(namespace):
    apply(manifest(QUICK, pushSecret={"name": "late"}), namespace)
    until(
        lambda: ready(status_of(namespace)).get("reason") == "SecretNotFound",
        "word of the Secret",
        lambda: status_of(namespace),
    )
    kubectl(
        "create", "secret", "docker-registry", "late", "-n", namespace,
        f"--docker-server={REGISTRY}", "--docker-username=a", "--docker-password=b",
    )  # fmt: skip
    assert finished(namespace)["phase"] == "Succeeded"


@pytest.fixture
def ghost(namespace):
    """A node without a kubelet that the namespace's pods go to: tests say what it would."""
    name = f"ghost-{namespace}"
    room = {"cpu": "8", "memory": "16Gi", "pods": "20", "ephemeral-storage": "100Gi"}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "ghost": name}},
        "spec": {"taints": [{"key": "ghost", "value": name, "effect": "NoSchedule"}]},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }
    expression = (
        f'[JSONPatch{{op: "add", path: "/spec/nodeSelector/ghost", value: "{name}"}},'
        ' JSONPatch{op: "add", path: "/spec/tolerations/-",'
        ' value: Object.spec.tolerations{operator: "Exists"}}]'
    )
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [PODS],
            },
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    with cluster_wide(node, policy, binding):
        # An API server takes a while to go by a new policy.
        until(lambda: name in probe(namespace), "the policy to be in force", lambda: probe(namespace))
        yield name


def probe(namespace):
    """Return what the API server would make of a pod."""
    spec = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "x", "operator": "Exists"}],
        "containers": [{"name": "c", "image": "c"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    return kubectl("create", "-n", namespace, "--dry-run=server", "-o", "json", "-f", "-", manifest=pod)


def bound_pod(namespace, but=()):
    """Wait for a builder pod on its node; return its name."""
    found: list[str] = []

    def bound() -> bool:
        items = get("pods", "-n", namespace, "-l", UID)["items"]
        found[:] = [each["metadata"]["name"] for each in items if each["spec"].get("nodeName")]
        found[:] = [each for each in found if each not in but]
        return bool(found)

    until(bound, "a pod on its node", lambda: [pods(namespace), status_of(namespace)])
    return found[0]


def report(namespace, pod, **status):
    """Say what the pod's kubelet would."""
    patch = json.dumps({"status": status})
    kubectl("patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)


def builder(**state):
    shown = {"name": "builder", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    return [{**shown, "state": state}]


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


def test_delete_and_apply_never_run_at_the_same_time(namespace):
    apply(manifest(SLOW), namespace)
    building(namespace, "sleep 600")
    (old,) = pods(namespace)
    kubectl("delete", "ib", "app", "-n", namespace)
    apply(manifest(QUICK), namespace)
    together = []

    def ended() -> bool:
        items = get("pods", "-n", namespace, "-l", UID)["items"]
        now = [
            each["metadata"]["name"] for each in items if each["status"]["phase"] in {"Pending", "Running"}
        ]
        if old in now and len(now) > 1:
            together.append(now)
        return conditions(status_of(namespace)).get("Finished") == "True"

    until(ended, "the second build's end", lambda: status_of(namespace))
    assert together == []
    assert status_of(namespace)["phase"] == "Succeeded"


def test_two_builds_of_one_tag_are_told(namespace):
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
    fields = get("ib", "app", "-n", namespace, "--show-managed-fields")["metadata"]["managedFields"]
    assert "strake-operator" in {each["manager"] for each in fields}
    assert "Stalled" in kubectl("explain", "ib.status.conditions")
