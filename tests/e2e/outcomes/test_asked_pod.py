"""What an ImageBuild says about its pod, in a cluster that must agree."""

from __future__ import annotations

from typing import Any

from tests.cluster.objects import get, refusal_of
from tests.e2e.builds import UID, build, manifest, run_image
from tests.e2e.intrusions import cluster_wide

NODES = "requiredDuringSchedulingIgnoredDuringExecution"
DOCKERFILE = """\
FROM TINY
RUN cat /etc/hosts /etc/resolv.conf > /seen
CMD cat /seen
"""


def pod_of(namespace):
    (pod,) = get("pods", "-n", namespace, "-l", UID)["items"]
    return pod


def test_a_pod_as_the_spec_asks(namespace):
    priority = f"builds-{namespace}"
    asked: dict[str, Any] = {
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "builds", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                NODES: {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "Exists"}]}
                    ]
                }
            },
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"team": "one"}},
            }
        ],
        "priorityClassName": priority,
        "imagePullSecrets": [{"name": "not-there-and-not-needed"}],
        "labels": {"team": "one"},
        "annotations": {"example.com/note": "x"},
        "hostAliases": [{"ip": "10.9.8.7", "hostnames": ["alias.example"]}],
        "dnsConfig": {"searches": ["search.example"]},
        "workspace": {"medium": "Memory", "sizeLimit": "256Mi"},
    }
    a_class = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": priority},
        "value": 7,
    }
    with cluster_wide(a_class):
        status = build(namespace, DOCKERFILE, pod=asked, platform="linux/amd64")
        pod = pod_of(namespace)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "nested"
    spec, metadata = pod["spec"], pod["metadata"]
    assert (spec["priority"], spec["priorityClassName"]) == (7, priority)
    assert asked["tolerations"][0] in spec["tolerations"]
    assert spec["topologySpreadConstraints"] == asked["topologySpreadConstraints"]
    assert spec["affinity"]["nodeAffinity"][NODES] == asked["affinity"]["nodeAffinity"][NODES]
    assert (metadata["labels"]["team"], metadata["annotations"]["example.com/note"]) == ("one", "x")
    (work,) = [each for each in spec["volumes"] if each["name"] == "work"]
    assert work["emptyDir"] == {"medium": "Memory", "sizeLimit": "256Mi"}
    seen = run_image(namespace, status["image"])
    assert "10.9.8.7\talias.example" in seen
    assert "search.example" in seen


def test_a_workspace_of_a_storage_class(namespace, tmp_path):
    """A volume that somebody made before: the test cluster has nothing that makes some."""
    name = f"work-{namespace}"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "hostPath": {"path": str(tmp_path)},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }
    with cluster_wide(volume):
        workspace = {"storageClassName": name, "sizeLimit": "1Gi"}
        status = build(
            namespace, "FROM TINY\nRUN echo hello > /hello\nCMD cat /hello\n", pod={"workspace": workspace}
        )
        (claim,) = get("pvc", "-n", namespace)["items"]
        pod = pod_of(namespace)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "nested"
    assert (claim["status"]["phase"], claim["spec"]["volumeName"]) == ("Bound", name)
    assert claim["metadata"]["ownerReferences"][0]["uid"] == pod["metadata"]["uid"]
    assert run_image(namespace, status["image"]) == "hello\n"


REFUSED = {
    "labels": ({"labels": {"strake.dev/uid": "x"}}, "Strake sets what a builder pod needs"),
    "annotations": (
        {"annotations": {"container.apparmor.security.beta.kubernetes.io/builder": "unconfined"}},
        "Strake sets what a builder pod needs",
    ),
    "keys": ({"labels": {"a/b/c": "x"}}, "NAME or DOMAIN/NAME"),
    "tolerations": ({"tolerations": [{"value": "x"}]}, "Exists for every taint"),
    "affinity": (
        {
            "affinity": {
                "nodeAffinity": {
                    NODES: {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}
                }
            }
        },
        "Gt and Lt one",
    ),
    "nodeSelector": ({"nodeSelector": {"kubernetes.io/os": "windows"}}, "builders run on Linux"),
    "hostAliases": ({"hostAliases": [{"ip": "ten", "hostnames": ["a"]}]}, "no IP address"),
    "hostnames": ({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a b"]}]}, "lower case"),
    "dnsConfig": ({"dnsConfig": {"searches": ["a b"]}}, "searches are domains"),
    "workspace": ({"workspace": {"storageClassName": "fast"}}, "needs workspace.sizeLimit"),
    "unknown": ({"hostNetwork": True}, "unknown field"),
}


def test_kubectl_apply_says_what_is_wrong(namespace):
    for what, (pod, words) in REFUSED.items():
        refused = refusal_of("ib", namespace, manifest("FROM TINY\n", name=what.lower(), pod=pod))
        assert words in refused, what
