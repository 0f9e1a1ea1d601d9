"""Faults that last: run by `make faults`, since they take minutes."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.cluster.component import component
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, forget_connections, read
from tests.cluster.processes import READY_URL, answers
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import building, manifest, until
from tests.e2e.operators import leader, restarts
from tests.e2e.states import builds_in_each_state, in_each_phase

pytestmark = pytest.mark.usefixtures("alone")

STILL_SECONDS = {"etcd": 30, "kubelet": 60}
"""For longer than the operator's Lease lasts, and than a node may be silent (40 s)."""
HANDOVERS = 12


def test_an_api_server_that_is_killed(namespace):
    with builds_in_each_state(namespace):
        (killed,) = component("kube-apiserver")
        os.kill(killed, signal.SIGKILL)
        until(lambda: component("kube-apiserver") not in ([], [killed]), "another API server", lambda: "")
        until(lambda: answers(READY_URL) is None, "its answer", lambda: answers(READY_URL))
        forget_connections()
        # Ready comes before it serves what CRDs define.
        until(lambda: _shows_builds(namespace), "its ImageBuilds", lambda: "")


def _shows_builds(namespace: str) -> bool:
    try:
        read("imagebuilds", namespace)
    except ObjectError:
        return False
    return True


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


def test_a_namespace_that_is_deleted(namespace):
    other = f"{namespace}-gone"
    kubectl("create", "namespace", other)
    apply(manifest("FROM TINY\nRUN echo started && sleep 600\n"), other)
    building(other, "sleep 600")
    before = restarts()
    with builds_in_each_state(namespace):
        kubectl("delete", "namespace", other, "--timeout=200s", timeout=240)
    assert restarts() == before


def test_an_operator_that_hands_over_in_each_phase(namespace):
    def hand_over() -> None:
        acting = leader()
        kubectl("delete", "pod", acting, "-n", NAMESPACE, "--wait=false")
        until(lambda: leader() not in {"", acting}, f"another than {acting} to act", leader)

    kubectl("scale", "deployment/strake-operator", "-n", NAMESPACE, "--replicas=2")
    kubectl("rollout", "status", "deployment/strake-operator", "-n", NAMESPACE, "--timeout=200s")
    try:
        in_each_phase(namespace, hand_over, HANDOVERS)
    finally:
        kubectl("scale", "deployment/strake-operator", "-n", NAMESPACE, "--replicas=1")
