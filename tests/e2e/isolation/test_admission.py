"""What the cluster itself refuses: objects with Strake's labels by others, builder pods of another shape.

Each attempt is admitted where nothing but the label is left away, so that it can succeed.
"""

from __future__ import annotations

import copy

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_api.spec.pod.pod import BuilderPod
from strake_operator.isolation import PodForm
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.settings.environment import Settings
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, read
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build, pods

OPERATOR = f"system:serviceaccount:{NAMESPACE}:strake-operator"
CONTROLLER = "system:serviceaccount:kube-system:job-controller"
LABELS = {
    "strake.dev/uid": "0a1b2c3d",
    "strake.dev/run": "1",
    "strake.dev/attempt": "1",
    "strake.dev/isolation": "nested",
}
SPEC = ImageBuildSpec.model_validate(
    {"source": {"inline": {"Dockerfile": "FROM scratch"}}, "output": {"destinations": ["r.example/a:1"]}}
)
OPEN = ("pod-security.kubernetes.io/enforce=privileged", "--overwrite")


def run(form: PodForm = PodForm.NESTED) -> dict:
    """Return a Job as the operator makes it, with another image."""
    identity = RunIdentity("x", "app", "0a1b2c3d", 1, 1, "app-000000-1", form)
    return builder_job(identity, SPEC, Settings(builder_image="r.example/builder:1"))


def pod(form: PodForm = PodForm.NESTED) -> dict:
    template = copy.deepcopy(run(form)["spec"]["template"])
    template["metadata"]["name"] = "app-000000-1-abcde"
    return {"apiVersion": "v1", "kind": "Pod", **template}


def without_labels(made: dict) -> dict:
    made = copy.deepcopy(made)
    for metadata in (made["metadata"], made.get("spec", {}).get("template", {}).get("metadata", {})):
        metadata.pop("labels", None)
    return made


def admitted(namespace: str, made: dict, user: str | None = None) -> str:
    """Return why the API server would not take an object; "" where it would."""
    made = copy.deepcopy(made)
    made["metadata"].pop("namespace", None)
    made["metadata"].pop("ownerReferences", None)
    words = ["create", "--dry-run=server", "-f", "-", "-n", namespace, *([f"--as={user}"] if user else [])]
    try:
        kubectl(*words, manifest=made)
    except ObjectError as error:
        return str(error)
    return ""


def job_with_labels_for_its_pods() -> dict:
    made = run()
    made["metadata"]["labels"] = {}
    return made


CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": LABELS}}
MADE = {
    "a Job": run(),
    "a Job whose pods have the labels": job_with_labels_for_its_pods(),
    "a pod": pod(),
    "a ConfigMap": CONFIG_MAP,
}


@pytest.mark.parametrize("what", MADE)
def test_only_the_operator_makes_what_has_its_labels(namespace, what):
    kubectl("label", "namespace", namespace, *OPEN)
    refusal = admitted(namespace, MADE[what])
    assert "only Strake's operator makes objects" in refusal
    assert admitted(namespace, without_labels(MADE[what])) == ""
    if what != "a pod":
        assert admitted(namespace, MADE[what], OPERATOR) == ""


def test_nobody_puts_the_labels_on_what_is_there(namespace):
    apply({**CONFIG_MAP, "metadata": {"name": "mine"}}, namespace)
    kubectl("label", "configmap", "mine", "-n", namespace, "a=b")
    with pytest.raises(ObjectError, match="only Strake's operator"):
        kubectl("label", "configmap", "mine", "-n", namespace, "strake.dev/uid=x")


def test_nor_changes_those_of_a_run(namespace):
    status = build(namespace, "FROM TINY\nRUN true\n")
    for kind, name in (("job", status["job"]), ("pod", pods(namespace)[0]), ("configmap", status["job"])):
        kubectl("annotate", kind, name, "-n", namespace, "a=b")
        with pytest.raises(ObjectError, match="only Strake's operator"):
            kubectl("label", kind, name, "-n", namespace, "strake.dev/attempt=2", "--overwrite")
        with pytest.raises(ObjectError, match="only Strake's operator"):
            kubectl("label", kind, name, "-n", namespace, "strake.dev/uid-")
    assert read("jobs", namespace, status["job"])["metadata"]["labels"]["strake.dev/attempt"] == "1"


@pytest.mark.parametrize("form", PodForm)
def test_the_operators_pods_are_admitted(namespace, form):
    kubectl("label", "namespace", namespace, *OPEN)
    assert admitted(namespace, pod(form), CONTROLLER) == ""


def test_the_operators_pods_are_admitted_as_a_spec_asks_for_them(namespace):
    asked = {
        "labels": {"team": "one"},
        "annotations": {"example.com/note": "x"},
        "workspace": {"storageClassName": "fast", "sizeLimit": "1Gi"},
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["a.example"]}],
    }
    spec = SPEC.model_copy(update={"pod": BuilderPod.model_validate(asked)})
    identity = RunIdentity("x", "app", "0a1b2c3d", 1, 1, "app-000000-1")
    template = builder_job(identity, spec, Settings(builder_image="r.example/builder:1"))["spec"]["template"]
    template["metadata"]["name"] = "app-000000-1-abcde"
    assert admitted(namespace, {"apiVersion": "v1", "kind": "Pod", **template}, CONTROLLER) == ""


def with_spec(form: PodForm = PodForm.NESTED, **fields) -> dict:
    made = pod(form)
    made["spec"] |= fields
    return made


def with_security(form: PodForm = PodForm.NESTED, **fields) -> dict:
    made = pod(form)
    made["spec"]["containers"][0]["securityContext"] |= fields
    return made


def with_volume(**volume) -> dict:
    made = pod()
    made["spec"]["volumes"].append({"name": "more", **volume})
    return made


def with_container(**fields) -> dict:
    made = pod()
    made["spec"]["initContainers"] = [{"name": "more", "image": "x", **fields}]
    return made


def host_users() -> dict:
    made = pod()
    del made["spec"]["hostUsers"]
    made["spec"]["containers"][0]["securityContext"].pop("procMount")
    return made


SHAPES = {
    "users of the node": (host_users(), "hostUsers"),
    "network of the node": (with_spec(PodForm.HOST_USERS, hostNetwork=True), "no namespace of its node"),
    "processes of the node": (with_spec(PodForm.HOST_USERS, hostPID=True), "no namespace of its node"),
    "memory of the node": (with_spec(PodForm.HOST_USERS, hostIPC=True), "no namespace of its node"),
    "processes of other containers": (with_spec(shareProcessNamespace=True), "share no processes"),
    "a token": (with_spec(automountServiceAccountToken=True), "no token"),
    "a token by default": (with_spec(automountServiceAccountToken=None), "no token"),
    "a token by a volume": (
        with_volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
        "tokens for others",
    ),
    "a directory of the node": (with_volume(hostPath={"path": "/"}), "nothing of its node"),
    "privileged": (with_security(privileged=True), "not privileged"),
    "a privileged container beside": (with_container(securityContext={"privileged": True}), "not privileged"),
    "a capability": (with_security(capabilities={"add": ["SYS_ADMIN"]}), "capabilities"),
    "raw sockets": (with_security(capabilities={"add": ["NET_RAW"]}), "capabilities"),
    "every capability": (with_security(capabilities={"add": ["ALL"]}), "capabilities"),
    "a capability beside": (
        with_container(securityContext={"capabilities": {"add": ["NET_ADMIN"]}}),
        "capabilities",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pod_of_another_shape_is_refused(namespace, shape):
    kubectl("label", "namespace", namespace, *OPEN)
    made, words = SHAPES[shape]
    assert words in admitted(namespace, made, CONTROLLER)
    assert admitted(namespace, without_labels(made), CONTROLLER) == ""
