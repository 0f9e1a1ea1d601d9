"""Parts of the cluster fail while builds are in every state: each is right afterwards, and none was built twice.

`make faults` kills more often, and lets what stands still do so for longer than a cluster waits for it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from strake_operator.names import BUILD_ANNOTATION
from tests.cluster.component import component
from tests.cluster.kubectl import apply, get, kubectl
from tests.cluster.objects import forget_connections, read
from tests.cluster.processes import READY_URL, answers
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import (
    UID,
    building,
    finished,
    gated,
    jobs,
    manifest,
    pods,
    ready,
    status_of,
    until,
)
from tests.e2e.intrusions import cluster_wide
from tests.e2e.isolation.test_policy import policy
from tests.e2e.operators import kill_operator, leader

pytestmark = pytest.mark.usefixtures("alone")

WHOLE = "STRAKE_FAULTS" in os.environ
KILLS = 20 if WHOLE else 6
STILL_SECONDS = {"etcd": 30, "kubelet": 60} if WHOLE else {"etcd": 8, "kubelet": 8}
"""For longer than the operator's Lease lasts; a whole run also for longer than a node may be silent (40 s)."""
QUICK = "FROM TINY\nRUN true\n"
BRIEF = "FROM TINY\nRUN sleep 1\n"
PHASES = ("Pending", "Fetching", "Pulling", "Building", "Pushing", "Succeeded")


@contextlib.contextmanager
def builds_in_each_state(namespace, attempts=1) -> Iterator[None]:
    """Have a fault happen to a build that ended, to one in a step and to one that begins."""
    apply(manifest(QUICK, name="ended"), namespace)
    before = finished(namespace, name="ended")
    text, open_gate = gated(namespace)
    apply(manifest(text, name="goes-on"), namespace)
    building(namespace, "until wget", "goes-on")
    apply(manifest(QUICK, name="begins"), namespace)
    yield
    open_gate()
    status = finished(namespace, name="goes-on")
    assert (status["phase"], status["attempts"]) == ("Succeeded", attempts), status
    assert finished(namespace, name="begins")["phase"] == "Succeeded"
    assert status_of(namespace, "ended") == before
    assert runs(namespace) == {"ended": 1, "goes-on": attempts, "begins": 1}


def runs(namespace) -> Counter[str]:
    """Return how many Jobs each ImageBuild has."""
    items = read("jobs", namespace, labels=UID)["items"]
    return Counter(each["metadata"]["annotations"][BUILD_ANNOTATION] for each in items)


def test_an_api_server_that_is_killed(namespace):
    with builds_in_each_state(namespace):
        (killed,) = component("kube-apiserver")
        os.kill(killed, signal.SIGKILL)
        until(lambda: component("kube-apiserver") not in ([], [killed]), "another API server", lambda: "")
        until(lambda: answers(READY_URL) is None, "its answer", lambda: answers(READY_URL))
        forget_connections()


@pytest.mark.parametrize("name", STILL_SECONDS)
def test_a_component_that_stands_still(namespace, name):
    with builds_in_each_state(namespace):
        (pid,) = component(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(STILL_SECONDS[name])  # the fault lasts
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: answers(READY_URL) is None, "the API server's answer", lambda: answers(READY_URL))


def test_a_node_that_is_drained(namespace):
    text, open_gate = gated(namespace)
    apply(manifest(text), namespace)
    building(namespace, "until wget")
    try:
        kubectl("drain", "node", "--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=100s")
    finally:
        kubectl("uncordon", "node")
    open_gate()
    status = finished(namespace)
    assert (status["phase"], status["attempts"]) == ("Succeeded", 2), status
    until(lambda: len(pods(namespace)) == 1, "one pod", lambda: pods(namespace))


def test_a_config_map_that_somebody_deletes(namespace):
    with builds_in_each_state(namespace):
        job = status_of(namespace, "goes-on")["job"]
        kubectl("delete", "configmap", job, "-n", namespace)


def test_a_namespace_that_is_deleted(namespace):
    other = f"{namespace}-gone"
    kubectl("create", "namespace", other)
    apply(manifest("FROM TINY\nRUN echo started && sleep 600\n"), other)
    building(other, "sleep 600")
    with builds_in_each_state(namespace):
        kubectl("delete", "namespace", other, "--timeout=100s", timeout=110)
    items = get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=strake-operator")["items"]
    assert [each["restartCount"] for pod in items for each in pod["status"]["containerStatuses"]] == [0]


def test_a_quota_that_is_raised(namespace):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    apply({**quota, "spec": {"hard": {"pods": "0"}}}, namespace)
    apply(manifest(QUICK), namespace)
    until(
        lambda: ready(status_of(namespace)).get("reason") == "QuotaExceeded",
        "the reason",
        lambda: status_of(namespace),
    )
    apply({**quota, "spec": {"hard": {"pods": "2"}}}, namespace)
    assert finished(namespace)["phase"] == "Succeeded"


def test_a_policy_that_comes_while_a_build_goes_on(namespace):
    with contextlib.ExitStack() as until_all_ended, builds_in_each_state(namespace):
        until(lambda: runs(namespace)["begins"], "the last Job", lambda: jobs(namespace))
        forbidding = policy(namespace, destinations=["registry.example/*"])
        until_all_ended.enter_context(cluster_wide(forbidding))


def reaches(namespace, name, phase):
    """Wait until a build is in a phase, or in a later one: some take milliseconds."""
    phases = PHASES[PHASES.index(phase) :]

    def reached():
        return status_of(namespace, name).get("phase") in phases

    until(reached, f"{name} in the phase {phase}", lambda: status_of(namespace, name))


def in_each_phase(namespace, fault) -> None:
    """Make builds, one after the other; have a fault happen when each has come to the next phase."""
    names = [f"b{number}" for number in range(KILLS)]
    for name, phase in zip(names, itertools.cycle(PHASES), strict=False):
        apply(manifest(BRIEF, name=name), namespace)
        reaches(namespace, name, phase)
        fault()
    for name in names:
        status = finished(namespace, name=name)
        assert (status["phase"], status["attempts"]) == ("Succeeded", 1), status
    assert runs(namespace) == dict.fromkeys(names, 1)


def test_an_operator_that_is_killed_in_each_phase(namespace):
    in_each_phase(namespace, kill_operator)


def test_an_operator_that_hands_over_in_each_phase(namespace):
    def hand_over() -> None:
        acting = leader()
        kubectl("delete", "pod", acting, "-n", NAMESPACE, "--wait=false")
        until(lambda: leader() not in {"", acting}, f"another than {acting} to act", leader)

    kubectl("scale", "deployment/strake-operator", "-n", NAMESPACE, "--replicas=2")
    kubectl("rollout", "status", "deployment/strake-operator", "-n", NAMESPACE, "--timeout=100s")
    try:
        in_each_phase(namespace, hand_over)
    finally:
        kubectl("scale", "deployment/strake-operator", "-n", NAMESPACE, "--replicas=1")
