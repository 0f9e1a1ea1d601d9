"""What others do to a namespace's pods: nodes that do not answer, containers that policies add."""

from __future__ import annotations

import json
from contextlib import contextmanager

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, read, refusal_of
from tests.e2e.builds import UID, pods, status_of, until
from tests.e2e.conftest import TINY

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
WAYS = {"JSONPatch": "jsonPatch", "ApplyConfiguration": "applyConfiguration"}
"""How a MutatingAdmissionPolicy changes an object, and the field that says what."""
SIDECAR = (
    '[JSONPatch{op: "add", path: "/spec/containers/-", value: Object.spec.containers{'
    f' name: "sidecar", image: "{TINY}", command: ["sleep", "1000"]}}}}]'
)
"""A container beside the builder that goes on: for `injected`, with the sign `"sidecar"`."""


@contextmanager
def cluster_wide(*objects):
    """Have objects in the cluster, whose namespace is none, for as long as the context lasts."""
    apply(list(objects))
    try:
        yield
    finally:
        for each in objects:
            kubectl("delete", each["kind"], each["metadata"]["name"], "--ignore-not-found", "--wait=false")


def admission(kind, namespace, name, rules, *, bound=None):
    """Return an admission policy for a namespace's new pods, and its binding.

    Args:
        kind: MutatingAdmissionPolicy or ValidatingAdmissionPolicy.
        rules: What it does, as fields of its spec.
        bound: More fields of the binding's spec.
    """
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "resourceRules": [PODS],
            },
            "failurePolicy": "Fail",
            **rules,
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name},
        "spec": {"policyName": name, **(bound or {})},
    }
    return policy, binding


@contextmanager
def injected(namespace, name, expression, *, sign, way="JSONPatch"):
    """Have a policy change the namespace's new pods for as long as the context lasts.

    Args:
        expression: a list of JSONPatch in CEL; what is to be merged into a pod for ApplyConfiguration.
        sign: what a changed pod has in its JSON.
        way: of the two how it is changed.
    """
    patch = {"patchType": way, WAYS[way]: {"expression": expression}}
    rules = {"reinvocationPolicy": "Never", "mutations": [patch]}
    with cluster_wide(*admission("MutatingAdmissionPolicy", namespace, name, rules)):
        # An API server takes a while to go by a new policy.
        until(lambda: sign in probe(namespace), "the policy to be in force", lambda: probe(namespace))
        yield


def _node_without_kubelet(name, **labels):
    """Return a node for nobody but the pods that tolerate it."""
    room = {"cpu": "8", "memory": "16Gi", "pods": "20", "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "ghost": name, **labels}},
        "spec": {"taints": [{"key": "ghost", "value": name, "effect": "NoSchedule"}]},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


@contextmanager
def node_of(architecture, namespace):
    """Have a node of another architecture, without a kubelet, for pods that tolerate `ghost`; yield its name."""
    name = f"{architecture}-{namespace}"
    with cluster_wide(_node_without_kubelet(name, **{"kubernetes.io/arch": architecture})):
        yield name


@contextmanager
def ghost_node(namespace):
    """Have a node without a kubelet that the namespace's pods go to: tests say what it would."""
    name = f"ghost-{namespace}"
    expression = (
        f'[JSONPatch{{op: "add", path: "/spec/nodeSelector/ghost", value: "{name}"}},'
        ' JSONPatch{op: "add", path: "/spec/tolerations/-",'
        ' value: Object.spec.tolerations{operator: "Exists"}}]'
    )
    with cluster_wide(_node_without_kubelet(name)), injected(namespace, name, expression, sign=name):
        yield


@contextmanager
def kept_builds(namespace):
    """Keep the ImageBuilds of a namespace, of which one is `app`, from being deleted, and with them the namespace."""
    name = f"kept-{namespace}"
    rule = {
        "apiGroups": ["strake.dev"],
        "apiVersions": ["*"],
        "operations": ["DELETE"],
        "resources": ["imagebuilds"],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"namespaceSelector": selector, "resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "kept"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }

    def is_refused() -> bool:
        try:
            kubectl("delete", "ib", "app", "-n", namespace, "--dry-run=server")
        except ObjectError:
            return True
        return False

    with cluster_wide(policy, binding):
        until(is_refused, "the policy to be in force", lambda: "")
        yield


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
        items = read("pods", namespace, labels=UID)["items"]
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


def refusing(namespace, expression, message):
    """Have the API server refuse pods of a namespace for which a CEL expression is not true."""
    rules = {"validations": [{"expression": expression, "message": message}]}
    bound = {"validationActions": ["Deny"]}
    name = f"refusing-{namespace}"
    return cluster_wide(*admission("ValidatingAdmissionPolicy", namespace, name, rules, bound=bound))


def refusal(namespace):
    """Return why the API server takes no pod with a user namespace of its own; "" where it does."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"hostUsers": False, "containers": [{"name": "c", "image": "c"}]},
    }
    return refusal_of("pods", namespace, pod)
