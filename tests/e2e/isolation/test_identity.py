"""A builder pod of a ServiceAccount: who it is, and what of that its steps find."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import apply, get, kubectl
from tests.e2e.builds import build, pods, run_image, until

WEBHOOK = "stand-in-for-a-cloud"
DIRECTORY = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
# Objects as plain maps: the API server of 1.36 panics over a typed object in a list.
MUTATION = f"""\
[JSONPatch{{op: "add", path: "/spec/volumes/-", value: {{"name": dyn("aws-iam-token"),
   "projected": dyn({{"sources": [{{"serviceAccountToken":
     {{"audience": dyn("sts.amazonaws.com"), "expirationSeconds": dyn(86400), "path": dyn("token")}}}}]}})}}}},
 JSONPatch{{op: "add", path: "/spec/containers/0/volumeMounts/-", value:
   {{"name": dyn("aws-iam-token"), "mountPath": dyn("{DIRECTORY}"), "readOnly": dyn(true)}}}},
 JSONPatch{{op: "add", path: "/spec/containers/0/env", value:
   [{{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "{DIRECTORY}/token"}}]}}]
"""
ADMISSION = "admissionregistration.k8s.io/v1"


@pytest.fixture
def webhook(namespace):
    """Give each builder pod of the namespace what the webhook of EKS gives, a token of its ServiceAccount's."""
    pods_of_builds = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "strake"}},
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
    }
    policy = {
        "apiVersion": ADMISSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": WEBHOOK},
        "spec": {
            "matchConstraints": pods_of_builds,
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": MUTATION}}],
        },
    }
    binding = {
        "apiVersion": ADMISSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": WEBHOOK},
        "spec": {"policyName": WEBHOOK},
    }
    apply([policy, binding], namespace)
    until(lambda: is_mutated(namespace), "the policy to be in force", lambda: get("pods", "-n", namespace))
    yield
    kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", WEBHOOK)


def is_mutated(namespace: str) -> bool:
    """Return whether a pod would get the token."""
    container = {"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"app.kubernetes.io/managed-by": "strake"}},
        "spec": {"containers": [container], "volumes": [{"name": "v", "emptyDir": {}}]},
    }
    created = kubectl("create", "--dry-run=server", "-o", "json", "-n", namespace, "-f", "-", manifest=probe)
    return "aws-iam-token" in created


ATTACK = f"""\
FROM TINY
RUN {{ cat {DIRECTORY}/token /proc/1/root{DIRECTORY}/token ../../../../..{DIRECTORY}/token; \
      mkdir /jail && cp /bin/busybox /jail/ && chroot /jail /busybox cat ../../../../..{DIRECTORY}/token; \
      ls -A /var/run/secrets /run; env; cat /proc/*/environ; }} > /found 2>&1; true
CMD ["cat", "/found"]
"""


def test_a_pod_with_a_token_for_a_cloud_keeps_it_from_its_steps(namespace, webhook):
    kubectl("create", "serviceaccount", "builder", "-n", namespace)
    status = build(namespace, ATTACK, serviceAccountName="builder")
    assert status["phase"] == "Succeeded", status
    (name,) = pods(namespace)
    pod = get("pod", name, "-n", namespace)["spec"]
    assert pod["serviceAccountName"] == "builder"
    assert [volume["name"] for volume in pod["volumes"] if "projected" in volume] == ["aws-iam-token"]
    found = run_image(namespace, status["image"])
    assert found.count("No such file") >= 5, found
    assert "PATH=" in found, "the step's environment was read"
    assert "AWS_" not in found
    assert "eyJ" not in found, "no token"


def test_a_service_account_that_does_not_exist(namespace):
    status = build(namespace, "FROM TINY\nRUN true\n", serviceAccountName="nowhere")
    assert status["failure"]["reason"] == "ServiceAccountNotFound", status
    assert 'ServiceAccount "nowhere" does not exist' in status["failure"]["message"]
    assert "job" not in status
