"""Pods that their nodes give up or cannot start: the status names node, resource, image or limit, and what helps.

The node has no kubelet: the tests say what one would, which no real one can be brought to within a test.
"""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, read
from tests.e2e.builds import building, finished, manifest, status_of, until
from tests.e2e.intrusions import bound_pod, builder, ghost_node, report

QUICK = "FROM TINY\nRUN true\n"
LOW = "The node was low on resource: {}. Threshold quantity: 100Mi, available: 80Mi. "
RUNNING = builder(running={"startedAt": "2026-01-02T00:00:00Z"})


@pytest.fixture
def node(namespace):
    with ghost_node(namespace):
        yield f"ghost-{namespace}"


def disrupted(reason, message):
    return [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]


def test_what_a_node_was_low_on_is_named_for_each_attempt(namespace, node):
    """As often as the platform tries; the last one tells it as the build's failure."""
    apply(manifest(QUICK), namespace)
    gone: list[str] = []
    for resource in ("memory", "inodes", "ephemeral-storage"):
        pod = bound_pod(namespace, but=gone)
        gone.append(pod)
        report(
            namespace, pod, phase="Failed", reason="Evicted", message=LOW.format(resource),
            conditions=disrupted("TerminationByKubelet", LOW.format(resource)),
        )  # fmt: skip
    status = finished(namespace)
    assert [each["reason"] for each in status["retries"]] == ["Evicted", "Evicted"]
    for retry, resource in zip(status["retries"], ("memory", "inodes"), strict=True):
        assert f"node {node} was low on {resource}" in retry["message"], retry
    assert status["failure"]["reason"] == "Evicted"
    assert f"node {node} was low on ephemeral-storage" in status["failure"]["message"]
    assert "raise spec.resources.requests.ephemeral-storage" in status["failure"]["message"]


def test_a_builder_that_was_killed_as_a_whole_names_its_limit(namespace, node):
    apply(manifest(QUICK, resources={"limits": {"memory": "384Mi"}}), namespace)
    pod = bound_pod(namespace)
    killed = {"exitCode": 137, "reason": "OOMKilled", "message": "#1 | cc1plus a.cc\n"}
    report(namespace, pod, phase="Failed", containerStatuses=builder(terminated=killed))
    failure = finished(namespace)["failure"]
    assert failure["reason"] == "OutOfMemory"
    assert "container builder used all of its limit of 384Mi: raise spec.resources" in failure["message"]
    assert failure["logTail"] == "#1 | cc1plus a.cc"


def test_the_builders_image_is_named_with_its_node_and_its_cause(namespace, node):
    apply(manifest(QUICK), namespace)
    waiting = {"reason": "InvalidImageName", "message": "couldn't parse image name: invalid reference format"}
    pod = bound_pod(namespace)
    (container,) = read("pods", namespace, pod)["spec"]["containers"]
    report(namespace, pod, phase="Pending", containerStatuses=builder(waiting=waiting))
    building(namespace, "invalid reference format")
    failure = finished(namespace)["failure"]
    assert failure["reason"] == "InternalError"
    assert f"the builder's own image {container['image']} is no name of an image" in failure["message"]
    assert "STRAKE_BUILDER_IMAGE" in failure["message"]


def test_a_node_that_is_gone_is_named(namespace, node):
    apply(manifest(QUICK), namespace)
    first = bound_pod(namespace)
    report(namespace, first, phase="Running", containerStatuses=RUNNING)
    kubectl("delete", "pod", first, "-n", namespace, "--grace-period=1", "--wait=false")
    until(lambda: status_of(namespace).get("retries"), "the next attempt", lambda: status_of(namespace))
    (retry,) = status_of(namespace)["retries"]
    assert retry["reason"] == "Evicted"
    assert f"node {node} does not answer any more" in retry["message"], retry
