"""What runs the builder pod: a RuntimeClass of the spec, or else of the platform's setting."""

from __future__ import annotations

import pytest

from tests.cluster.objects import ObjectError, apply, get
from tests.e2e.builds import UID, build, finished, jobs, manifest, pods, until
from tests.e2e.intrusions import cluster_wide

QUICK = "FROM TINY\nRUN true\n"


def runtime_class(name, handler):
    """Return a RuntimeClass; its handler is one that containerd's configuration may have."""
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": name},
        "handler": handler,
    }


def class_of_pod(namespace):
    (pod,) = get("pods", "-n", namespace, "-l", UID)["items"]
    return pod["spec"].get("runtimeClassName")


def test_a_class_of_the_spec_runs_the_pod(namespace):
    name = f"usual-{namespace}"
    with cluster_wide(runtime_class(name, "runc")):
        status = build(namespace, QUICK, pod={"runtimeClassName": name})
        assert status["phase"] == "Succeeded", status
        assert status["isolation"] == {"kind": "nested", "ownProc": True}
        assert class_of_pod(namespace) == name


def test_a_class_that_does_not_exist_is_named_and_nobody_waits_for_it(namespace):
    failure = build(namespace, QUICK, pod={"runtimeClassName": "nowhere"})["failure"]
    assert failure["reason"] == "RuntimeClassNotFound"
    assert 'RuntimeClass "nowhere" does not exist in this cluster' in failure["message"]
    assert "spec.pod.runtimeClassName" in failure["message"]
    until(lambda: not jobs(namespace), "the Job to be gone", lambda: jobs(namespace))


def test_a_class_that_comes_in_time_costs_nothing(platform, changing, namespace):
    name = f"late-{namespace}"
    with platform.changed(STRAKE_GRACE_SECONDS="100"):
        apply(manifest(QUICK, pod={"runtimeClassName": name}), namespace)
        until(
            lambda: "does not exist" in shown(namespace), "the trouble to be told", lambda: shown(namespace)
        )
        with cluster_wide(runtime_class(name, "runc")):
            status = finished(namespace)
    assert status["phase"] == "Succeeded", status
    assert status["attempts"] == 1


def shown(namespace):
    return get("ib", "app", "-n", namespace).get("status", {}).get("progress", "")


def test_a_runtime_that_the_node_lacks_is_named(namespace):
    name = f"absent-{namespace}"
    with cluster_wide(runtime_class(name, "absent")):
        failure = build(namespace, QUICK, pod={"runtimeClassName": name})["failure"]
    assert failure["reason"] == "Unsupported"
    assert "the node has no runtime absent" in failure["message"]
    until(lambda: not pods(namespace), "the pod to be gone", lambda: pods(namespace))


def test_the_specs_class_counts_and_not_the_platforms(platform, changing, namespace):
    names = [f"{word}-{namespace}" for word in ("platforms", "specs")]
    with (
        cluster_wide(*(runtime_class(name, "runc") for name in names)),
        platform.changed(STRAKE_RUNTIME_CLASS=names[0]),
    ):
        assert build(namespace, QUICK)["phase"] == "Succeeded"
        assert class_of_pod(namespace) == names[0]
        apply(manifest(QUICK, pod={"runtimeClassName": names[1]}), namespace)
        assert finished(namespace, generation=2)["phase"] == "Succeeded"
        assert class_of_pod(namespace) == names[1]


@pytest.mark.parametrize("pod", [{"runtimeClassName": "gVisor"}, {"runtimeClass": "gvisor"}])
def test_mistakes_are_refused_at_apply(namespace, pod):
    with pytest.raises(ObjectError, match=r"spec\.pod\.runtimeClass"):
        apply(manifest(QUICK, pod=pod), namespace)
