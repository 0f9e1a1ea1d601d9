"""How steps are kept apart: nested in a baseline namespace, and less where a rule or a node gives no more."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import DIR
from tests.demo.installation import NAMESPACE, overlay
from tests.demo.own_images import ROOT, own_images
from tests.e2e.builds import UID, build, finished, jobs, manifest, pods, run_image, until
from tests.e2e.intrusions import injected, refusal, refusing

STEPS = """\
FROM TINY
RUN id -u > /root-here && chown 1:1 /root-here
RUN --mount=type=cache,target=/kept touch /kept/x && ls /kept > /mounted
COPY Dockerfile /copied
CMD cat /root-here /mounted
"""
NO_NETWORK = "FROM TINY\nRUN --network=none ip link show lo > /links || true\n"
PROFILES = DIR / "kubelet/seccomp"


def test_a_baseline_namespace_builds_nested(namespace):
    (level,) = [
        value
        for name, value in get("namespace", namespace)["metadata"]["labels"].items()
        if name == "pod-security.kubernetes.io/enforce"
    ]
    assert level == "baseline"
    status = build(namespace, STEPS)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"] == {"kind": "nested", "ownProc": True}
    assert run_image(namespace, status["image"]).split() == ["0", "x"]
    header, row = kubectl("get", "ib", "app", "-n", namespace, "-o", "wide").splitlines()
    assert "ISOLATION" in header.split()
    assert "nested" in row.split()


def test_no_network_needs_no_added_capability(namespace):
    assert build(namespace, NO_NETWORK)["phase"] == "Succeeded"


def test_the_operators_namespace_stays_restricted(platform):
    labels = get("namespace", NAMESPACE)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_builder_pod_adds_a_capability(namespace):
    build(namespace, "FROM TINY\nRUN true\n")
    (pod,) = get("pods", "-n", namespace, "-l", UID)["items"]
    added = pod["spec"]["containers"][0]["securityContext"]["capabilities"]["add"]
    assert not {"SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"} & set(added)


def test_baseline_of_older_clusters_costs_the_proc_alone(namespace):
    """Before Kubernetes 1.35 it refused an unmasked /proc in a user namespace, too."""
    kubectl(
        "label", "namespace", namespace, "pod-security.kubernetes.io/enforce-version=v1.34", "--overwrite"
    )
    status = build(namespace, STEPS)
    assert status["phase"] == "Succeeded", status
    assert (status["isolation"]["kind"], status["isolation"]["ownProc"]) == ("nested", False)
    assert "procMount" in status["isolation"]["reason"]
    assert status["attempts"] == 1
    assert status["job"].endswith("-masked")


def test_a_cluster_without_user_namespaces_builds_in_a_chroot(namespace):
    words = "hostUsers must not be false here"
    with refusing(namespace, "!has(object.spec.hostUsers) || object.spec.hostUsers", words):
        until(lambda: words in refusal(namespace), "the policy to be in force", lambda: "")
        status = build(namespace, STEPS)
        assert status["phase"] == "Succeeded", status
        assert status["isolation"]["kind"] == "chroot"
        assert words in status["isolation"]["reason"]
        assert (status["attempts"], status["job"].endswith("-hostusers")) == (1, True)
        assert run_image(namespace, status["image"]).split()[0] == "0"


@pytest.fixture
def filtered(namespace):
    """The namespace's pods get RuntimeDefault, as from a kubelet with seccompDefault."""
    expression = (
        "!has(object.spec.securityContext.seccompProfile) ?"
        ' [JSONPatch{op: "add", path: "/spec/securityContext/seccompProfile",'
        ' value: Object.spec.securityContext.seccompProfile{type: "RuntimeDefault"}}] : []'
    )
    with injected(namespace, f"filtered-{namespace}", expression, sign="RuntimeDefault"):
        yield


def test_a_node_that_filters_every_pod_builds_in_a_chroot(namespace, filtered):
    status = build(namespace, STEPS)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "chroot"
    assert status["isolation"]["reason"].startswith("on node ")
    assert (status["attempts"], status["job"].endswith("-chroot")) == (1, True)
    assert run_image(namespace, status["image"]).split()[0] == "0"
    assert [name for name in jobs(namespace) if not name.endswith("-chroot")] == []
    # The next build of the namespace does not ask the node again.
    apply(manifest("FROM TINY\nRUN true\n", name="second"), namespace)
    second = finished(namespace, name="second")
    assert second["phase"] == "Succeeded", second
    assert second["isolation"]["reason"].startswith("no node gave a better one lately: on node ")
    made = [
        each["message"]
        for each in get("events", "-n", namespace)["items"]
        if each["involvedObject"]["kind"] == "ImageBuild" and each["involvedObject"]["name"] == "second"
    ]
    assert len([each for each in made if each.startswith("started Job")]) == 1


def test_a_platform_that_wants_nested_pods_alone_is_told_what_to_change(
    platform, changing, namespace, filtered
):
    with platform.changed(STRAKE_ISOLATION="nested"):
        failure = build(namespace, "FROM TINY\nRUN true\n")["failure"]
    assert failure["reason"] == "IsolationUnavailable"
    assert "set STRAKE_ISOLATION=auto" in failure["message"]


def test_a_platform_that_wants_a_chroot_gets_it(platform, changing, namespace):
    with platform.changed(STRAKE_ISOLATION="chroot"):
        status = build(namespace, STEPS)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "chroot"
    assert "STRAKE_ISOLATION=chroot" in status["isolation"]["reason"]


def test_a_profile_of_the_nodes_that_is_not_there_costs_the_nesting_alone(platform, changing, namespace):
    with platform.changed(STRAKE_SECCOMP_PROFILE="localhost/nowhere.json"):
        status = build(namespace, "FROM TINY\nRUN true\n")
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "chroot"
    assert "nowhere.json" in status["isolation"]["reason"]


def test_a_profile_that_a_daemon_set_brings_to_the_nodes_lets_builders_nest(platform, changing, namespace):
    with platform.changed(STRAKE_SECCOMP_PROFILE="localhost/strake-builder.json"), profiles():
        status = build(namespace, STEPS)
        (pod,) = get("pods", "-n", namespace, "-l", UID)["items"]
    assert status["phase"] == "Succeeded", status
    assert status["isolation"] == {"kind": "nested", "ownProc": True}
    assert pod["spec"]["securityContext"]["seccompProfile"]["type"] == "Localhost"


@contextmanager
def profiles():
    """Have deploy/seccomp in the cluster, whose kubelet has its files elsewhere."""
    images = own_images(lambda line: print(line, file=sys.stderr))
    repository, _, digest = images["operator"].partition("@")
    path = "/spec/template/spec/volumes/1/hostPath/path"
    patch = [{"op": "replace", "path": path, "value": str(PROFILES)}]
    directory = overlay(
        "seccomp",
        ROOT / "deploy/seccomp",
        {
            "images": [{"name": "registry.example/strake/operator", "newName": repository, "digest": digest}],
            "patches": [{"target": {"kind": "DaemonSet"}, "patch": json.dumps(patch)}],
        },
    )
    kubectl("apply", "-k", str(directory))
    try:
        rollout = ["rollout", "status", "daemonset/seccomp-profile", "--timeout=200s"]
        kubectl("-n", "strake-seccomp", *rollout, timeout=240)
        yield
    finally:
        kubectl("delete", "-k", str(directory), "--wait=false")


def test_a_file_that_fills_the_disk_ends_the_build_and_no_other_starts(namespace):
    # The kubelet looks at a pod's disk from time to time.
    status = build(
        namespace,
        "FROM TINY\nRUN dd if=/dev/zero of=/large bs=1M count=200 && sleep 170\n",
        resources={"requests": {"ephemeral-storage": "10Mi"}, "limits": {"ephemeral-storage": "100Mi"}},
    )
    assert status["failure"]["reason"] == "OutOfDisk", status
    assert "limits.ephemeral-storage" in status["failure"]["message"]
    assert status["attempts"] == 1
    assert len(pods(namespace)) <= 1
