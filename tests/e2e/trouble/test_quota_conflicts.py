"""A ResourceQuota that others change all the time, as in a namespace where much is made at once."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from kubernetes import client, config

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import KUBECONFIG
from tests.e2e.builds import jobs, manifest, until

QUICK = "FROM TINY\nRUN true\n"
BUILDS = 10
"""At a time: fewer than a namespace may run."""
ROUNDS = 20


# The test cluster's certificate is nobody's; kubectl and the operator's pod do not complain of that.
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.usefixtures("alone")  # the API server counts conflicts of all namespaces
def test_a_quota_that_others_change_all_the_time_costs_no_build(namespace):
    """The API server answers 409 where it cannot count an object in time: its reason is Conflict."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    hard = {"count/configmaps": "1000", "count/jobs.batch": "1000", "pods": "0"}
    apply({**quota, "spec": {"hard": hard}}, namespace)
    until(lambda: get("quota", "q", "-n", namespace).get("status"), "the quota's count", lambda: "")
    before, rounds = conflicts(), itertools.count(1)
    with changing_quota(namespace):
        while conflicts() == before:
            number = next(rounds)
            assert number <= ROUNDS, "no conflict was seen"
            kubectl("delete", "ib", "--all", "-n", namespace)
            batch = [f"b{number}-{each}" for each in range(BUILDS)]
            apply([{**manifest(QUICK), "metadata": {"name": name}} for name in batch], namespace)
            wait_for_jobs(namespace, unless=lambda: conflicts() > before)
    wait_for_jobs(namespace)
    until(
        lambda: all(phase == "Pending" for _, phase in phases(namespace)),
        f"{BUILDS} builds that wait for their pods",
        lambda: phases(namespace),
    )
    assert set(jobs(namespace)) <= {
        each["metadata"]["name"] for each in get("configmaps", "-n", namespace)["items"]
    }


def wait_for_jobs(namespace, unless=lambda: False):
    until(
        lambda: unless() or len(jobs(namespace)) == BUILDS,
        f"{BUILDS} Jobs",
        lambda: len(jobs(namespace)),
    )


def phases(namespace):
    """Return the name and the phase of each build; None where there is no status yet."""
    return [
        (each["metadata"]["name"], each.get("status", {}).get("phase"))
        for each in get("ib", "-n", namespace)["items"]
    ]


def conflicts() -> float:
    """Return how many Jobs and ConfigMaps the API server answered with 409 to, instead of creating them."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in kubectl("get", "--raw", "/metrics").splitlines()
        if line.startswith("apiserver_request_total{")
        and 'code="409"' in line
        and 'verb="POST"' in line
        and ('resource="jobs"' in line or 'resource="configmaps"' in line)
    )


@contextmanager
def changing_quota(namespace):
    """Change the namespace's quota from four sides for as long as the context lasts."""
    stop = threading.Event()

    def change(side: int) -> None:
        with config.new_client_from_config(str(KUBECONFIG)) as api:
            core = client.CoreV1Api(api)
            for i in itertools.count():
                if stop.is_set():
                    return
                patch = {"metadata": {"annotations": {f"side-{side}": str(i)}}}
                core.patch_namespaced_resource_quota("q", namespace, patch)

    with ThreadPoolExecutor(4) as pool:
        sides = [pool.submit(change, side) for side in range(4)]
        try:
            yield
        finally:
            stop.set()
            for side in sides:
                side.result()
