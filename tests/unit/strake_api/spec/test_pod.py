"""What a spec may say about its pod, and what nobody but Strake may."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.spec.pod.pod import BuilderPod

NODES = "requiredDuringSchedulingIgnoredDuringExecution"


def refusal(**pod) -> str:
    with pytest.raises(ValidationError) as caught:
        BuilderPod.model_validate(pod)
    return str(caught.value)


def test_a_pod_keeps_every_word_of_kubernetes():
    terms = [{"matchExpressions": [{"key": "disk", "operator": "Gt", "values": ["100"]}]}]
    given = {
        "nodeSelector": {"node.example/pool": "builds"},
        "tolerations": [
            {
                "key": "builds",
                "operator": "Equal",
                "value": "only",
                "effect": "NoExecute",
                "tolerationSeconds": 9,
            }
        ],
        "affinity": {
            "nodeAffinity": {NODES: {"nodeSelectorTerms": terms}},
            "podAntiAffinity": {
                NODES: [
                    {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "strake-builder"}},
                    }
                ]
            },
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
            }
        ],
        "priorityClassName": "builds",
        "imagePullSecrets": [{"name": "pull"}],
        "labels": {"team": "one", "app.kubernetes.io/part-of": "shop"},
        "annotations": {"sidecar.istio.io/inject": "false", "note": "any text, of any kind: é"},
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["git.example"]}],
        "dnsConfig": {
            "nameservers": ["fd00::1"],
            "searches": ["svc.cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
        },
        "workspace": {"sizeLimit": "50Gi", "storageClassName": "fast"},
    }
    assert BuilderPod.model_validate(given).to_dict() == given


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize(
    "key",
    [
        "strake.dev/uid",
        "strake.dev/generation",
        "more.strake.dev/x",
        "app.kubernetes.io/name",
        "app.kubernetes.io/managed-by",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
        "container.apparmor.security.beta.kubernetes.io/builder",
        "container.seccomp.security.alpha.kubernetes.io/builder",
        "cluster-autoscaler.kubernetes.io/safe-to-evict",
        "cdi.k8s.io/gpu",
        "io.kubernetes.cri-o.userns-mode",
        "userns-mode.crio.io",
        "irq-load-balancing.crio.io/x",
        "devices.nri.io/container.builder",
        "devices.noderesource.dev/container.builder",
        "io.katacontainers.config.hypervisor.path",
        "dev.gvisor.flag.network",
        "run.oci.keep_original_groups",
        "azure.workload.identity/use",
        "eks.amazonaws.com/skip-containers",
        "iam.amazonaws.com/role",
    ],
)
def test_strake_kubernetes_runtimes_and_clouds_have_keys_of_their_own(field, key):
    assert "Strake sets what a builder pod needs" in refusal(**{field: {key: "x"}})


@pytest.mark.parametrize(
    "key",
    [
        "team",
        "example.com/team",
        "linkerd.io/inject",
        "karpenter.sh/do-not-disrupt",
        "kueue.x-k8s.io/priority-class",
        "notstrake.dev/x",
        "app.kubernetes.io/component",
    ],
)
def test_other_keys_are_free(key):
    assert BuilderPod.model_validate({"labels": {key: "x"}, "annotations": {key: "x"}}).labels == {key: "x"}


@pytest.mark.parametrize("key", ["", "/x", "a/b/c", "-x", "Example.com/x", "x" * 64, "é"])
@pytest.mark.parametrize("field", ["labels", "annotations", "nodeSelector"])
def test_keys_are_those_of_kubernetes(field, key):
    assert "NAME or DOMAIN/NAME" in refusal(**{field: {key: "x"}})


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, "builders run on Linux"),
        ({"labels": {"team": "with space"}}, "labels"),
        ({"tolerations": [{"value": "x"}]}, "Exists for every taint"),
        ({"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}, "it has no value"),
        ({"tolerations": [{"key": "a", "tolerationSeconds": 3}]}, "NoExecute"),
        ({"hostAliases": [{"ip": "10.1.2", "hostnames": ["a"]}]}, "no IP address"),
        ({"hostAliases": [{"ip": "10.1.2.3", "hostnames": ["a b"]}]}, "lower case"),
        ({"hostAliases": [{"ip": "10.1.2.3", "hostnames": ["a\nb"]}]}, "lower case"),
        ({"hostAliases": [{"ip": "10.1.2.3\n", "hostnames": ["a"]}]}, "no IP address"),
        ({"dnsConfig": {"searches": ["a b"]}}, "searches are domains"),
        ({"workspace": {"storageClassName": "fast"}}, "needs workspace.sizeLimit"),
        (
            {"workspace": {"storageClassName": "f", "sizeLimit": "1Gi", "medium": "Memory"}},
            "drop one of them",
        ),
        ({"workspace": {"sizeLimit": "1GB"}}, "not 1GB"),
        ({"schedulerName": "mine"}, "schedulerName"),
        ({"hostNetwork": True}, "hostNetwork"),
        ({"securityContext": {}}, "securityContext"),
    ],
)
def test_what_cannot_be_meant_is_refused(pod, words):
    assert words in refusal(**pod)


@pytest.mark.parametrize(
    ("operator", "values", "good"),
    [
        ("In", ["a"], True),
        ("In", [], False),
        ("Exists", ["a"], False),
        ("Gt", ["1", "2"], False),
        ("Lt", ["1"], True),
    ],
)
def test_requirements_of_nodes_have_the_values_that_their_operator_needs(operator, values, good):
    term = {"matchExpressions": [{"key": "disk", "operator": operator, "values": values}]}
    affinity = {"nodeAffinity": {NODES: {"nodeSelectorTerms": [term]}}}
    if good:
        assert BuilderPod.model_validate({"affinity": affinity}).affinity is not None
    else:
        assert "Gt and Lt one" in refusal(affinity=affinity)
