"""Parts of the cluster fail while builds are in every state: each is right afterwards, and none was built twice.

What takes longer is in `long_faults.py`, which `make faults` runs, too.
"""

from __future__ import annotations

import contextlib
import os

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.e2e.builds import (
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
from tests.e2e.operators import kill_operator
from tests.e2e.states import QUICK, builds_in_each_state, in_each_phase, runs

pytestmark = pytest.mark.usefixtures("alone")

ENDS = 20 if "STRAKE_FAULTS" in os.environ else 4
"""Of the operator."""


def test_a_node_that_is_drained(namespace):
    text, open_gate = gated(namespace)
    apply(manifest(text), namespace)
    building(namespace, "until wget")
    try:
        kubectl("drain", "node", "--force", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=200s")
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


def test_an_operator_that_is_killed_in_each_phase(namespace):
    in_each_phase(namespace, kill_operator, ENDS)
