"""Builds in a queue of Kueue: it says when a Job runs, and the build waits for it."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import apply, get
from tests.e2e.builds import finished, gated, manifest, ready, status_of, until
from tests.e2e.kueue import QUEUE, kueue


@pytest.fixture
def queue(namespace, tmp_path):
    """A LocalQueue `builds` of Kueue's, in which one Job runs at a time."""
    with kueue(namespace, tmp_path, pods=1):
        yield


def queued(name: str, text: str) -> dict:
    made = manifest(text, name=name)
    made["metadata"]["labels"] = {QUEUE: "builds"}
    return made


def phase(namespace, name):
    status = status_of(namespace, name)
    return status.get("phase"), ready(status).get("reason")


def test_a_build_waits_until_kueue_admits_its_job(namespace, queue):
    text, open_gate = gated(namespace)
    apply(queued("first", text), namespace)
    until(
        lambda: phase(namespace, "first")[0] == "Building",
        "the first to run",
        lambda: status_of(namespace, "first"),
    )
    apply(queued("second", "FROM TINY\nRUN true\n"), namespace)
    until(
        lambda: phase(namespace, "second") == ("Queued", "Suspended"),
        "the second to wait",
        lambda: status_of(namespace, "second"),
    )
    workloads = get("workloads.kueue.x-k8s.io", "-n", namespace)["items"]
    admitted = [each for each in workloads if "admission" in each.get("status", {})]
    assert (len(workloads), len(admitted)) == (2, 1)
    open_gate()
    for name in ("first", "second"):
        status = finished(namespace, name=name)
        assert (status["phase"], status["attempts"], status.get("retries")) == ("Succeeded", 1, None), status
