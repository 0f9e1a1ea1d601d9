"""What the webhook of a cloud gives to the pods of a ServiceAccount, by a policy of the cluster in its stead."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.e2e.builds import until

AUDIENCE = "sts.amazonaws.com"
DIRECTORY = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
TOKEN = {"AWS_WEB_IDENTITY_TOKEN_FILE": f"{DIRECTORY}/token"}
_POLICY = "stand-in-for-a-cloud"
_ADMISSION = "admissionregistration.k8s.io/v1"
# Objects as plain maps: the API server of 1.36 panics over a typed object in a list.
_MUTATION = f"""\
[JSONPatch{{op: "add", path: "/spec/volumes/-", value: {{"name": dyn("aws-iam-token"),
   "projected": dyn({{"sources": [{{"serviceAccountToken":
     {{"audience": dyn("{AUDIENCE}"), "expirationSeconds": dyn(86400), "path": dyn("token")}}}}]}})}}}},
 JSONPatch{{op: "add", path: "/spec/CONTAINER/volumeMounts/-", value:
   {{"name": dyn("aws-iam-token"), "mountPath": dyn("{DIRECTORY}"), "readOnly": dyn(true)}}}},
 JSONPatch{{op: "add", path: "/spec/CONTAINER/env", value: VARIABLES}}]
"""


@contextlib.contextmanager
def identity(
    namespace: str, container: str = "containers/0", variables: Mapping[str, str] = TOKEN
) -> Iterator[None]:
    """Give each builder pod of a namespace what the webhook of EKS gives, a token of its ServiceAccount's.

    Args:
        namespace: the pods'.
        container: the one that gets it: "containers/0", "initContainers/0".
        variables: what its environment is; another one that it had is gone.
    """
    listed = [{"name": name, "value": value} for name, value in variables.items()]
    mutation = _MUTATION.replace("CONTAINER", container).replace("VARIABLES", json.dumps(listed))
    pods_of_builds = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "strake"}},
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
    }
    name = f"{_POLICY}-{namespace}"
    policy = {
        "apiVersion": _ADMISSION,
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": pods_of_builds,
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": mutation}}],
        },
    }
    binding = {
        "apiVersion": _ADMISSION,
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    apply([policy, binding], namespace)
    try:
        until(
            lambda: _is_mutated(namespace), "the policy to be in force", lambda: get("pods", "-n", namespace)
        )
        yield
    finally:
        kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", name)


def _is_mutated(namespace: str) -> bool:
    """Return whether a pod would get the token."""
    container = {"name": "c", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "labels": {"app.kubernetes.io/managed-by": "strake"}},
        "spec": {
            "initContainers": [{**container, "name": "i"}],
            "containers": [container],
            "volumes": [{"name": "v", "emptyDir": {}}],
        },
    }
    created = kubectl("create", "--dry-run=server", "-o", "json", "-n", namespace, "-f", "-", manifest=probe)
    return "aws-iam-token" in created
