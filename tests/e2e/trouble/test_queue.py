"""More builds than may go on: who waits, who is next, and what a restarted operator makes of it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import finished, manifest, pods, ready, status_of, until

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW = "FROM TINY\nRUN echo started && sleep 600\n"


@pytest.fixture(scope="module", autouse=True)
def limits(platform) -> Iterator[None]:
    """Let two runs go on, and one in each namespace."""
    with platform.changed(STRAKE_MAX_RUNS="2", STRAKE_MAX_RUNS_PER_NAMESPACE="1"):
        yield


@pytest.fixture
def others(namespace) -> Iterator[list[str]]:
    """Two more namespaces."""
    names = [f"{namespace}-{secrets.token_hex(2)}" for _ in range(2)]
    for name in names:
        kubectl("create", "namespace", name)
    yield names
    for name in names:
        kubectl("delete", "namespace", name, "--wait=false")


def start(namespace, name, **spec):
    apply(manifest(SLOW, name=name, **spec), namespace)


def starts(namespace, name):
    until(
        lambda: status_of(namespace, name).get("job"),
        f"the start of {name}",
        lambda: status_of(namespace, name),
    )


def waits(namespace, name):
    """Wait until a build waits for its turn; return why."""

    def queued():
        return status_of(namespace, name).get("phase") == "Queued"

    until(queued, f"{name} in the queue", lambda: status_of(namespace, name))
    return status_of(namespace, name)["queue"]["reason"]


def cancel(namespace, name):
    kubectl("annotate", "ib", name, "-n", namespace, "strake.dev/cancel=1")
    assert ready(finished(namespace, name=name))["reason"] == "Cancelled"


def test_builds_wait_for_their_turn(namespace, others):
    second, third = others
    start(namespace, "first")
    starts(namespace, "first")
    start(namespace, "older")
    assert waits(namespace, "older") == "NamespaceLimit"
    assert "1 of 1 runs of namespace" in ready(status_of(namespace, "older"))["message"]
    start(second, "app")
    starts(second, "app")
    start(third, "app")
    assert waits(third, "app") == "ClusterLimit"
    start(second, "late", queueTimeout="2s")
    assert finished(second, name="late")["failure"]["reason"] == "QueueTimeout"
    cancel(namespace, "first")
    starts(third, "app")
    assert waits(namespace, "older"), "its namespace had a start before"

    kubectl("-n", NAMESPACE, "rollout", "restart", "deployment/strake-operator")
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/strake-operator", "--timeout=200s", timeout=240)
    # A build that comes now is looked at by the new operator: it knows what goes on.
    start(second, "newer")
    assert waits(second, "newer") == "NamespaceLimit"
    assert waits(namespace, "older")
    assert [len(pods(each)) for each in (second, third)] == [1, 1]
    assert "job" not in status_of(namespace, "older")
    cancel(third, "app")
    starts(namespace, "older")
