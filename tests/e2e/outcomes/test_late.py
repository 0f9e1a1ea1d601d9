"""What a build misses may come late: it starts when it is there."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import LOCKED_PASSWORD, LOCKED_REGISTRY, LOCKED_USER, REGISTRY
from tests.e2e.builds import finished, manifest, pods, ready, status_of, until

QUICK = "FROM TINY\nRUN true\n"


@pytest.fixture(scope="module", autouse=True)
def patient(platform):
    """An operator that waits as long as the slowest machine takes: other tests wait for it to give up."""
    with platform.changed(STRAKE_GRACE_SECONDS="100"):
        yield


def make_secret(namespace, name, server, user, password):
    kubectl(
        "create", "secret", "docker-registry", name, "-n", namespace, f"--docker-server={server}",
        f"--docker-username={user}", f"--docker-password={password}",
    )  # fmt: skip


def test_a_secret_whose_absence_was_reported(namespace):
    apply(manifest(QUICK, pushSecret={"name": "late"}), namespace)
    until(
        lambda: ready(status_of(namespace)).get("reason") == "SecretNotFound",
        "word of the Secret",
        lambda: status_of(namespace),
    )
    make_secret(namespace, "late", REGISTRY, "a", "b")
    assert finished(namespace)["phase"] == "Succeeded"


def test_a_secret_of_a_locked_registry(namespace):
    locked = {"destinations": [f"{LOCKED_REGISTRY}/e2e/late:1"]}
    apply(manifest(QUICK, output=locked, pushSecret={"name": "push"}), namespace)
    until(lambda: pods(namespace), "a pod", lambda: status_of(namespace))
    make_secret(namespace, "push", LOCKED_REGISTRY, LOCKED_USER, LOCKED_PASSWORD)
    assert finished(namespace)["phase"] == "Succeeded"


def test_a_service_account(namespace):
    apply(manifest(QUICK, serviceAccountName="late"), namespace)

    def waits() -> bool:
        return 'ServiceAccount "late"' in status_of(namespace).get("progress", "")

    until(waits, "the missing ServiceAccount to be reported", lambda: status_of(namespace))
    kubectl("create", "serviceaccount", "late", "-n", namespace)
    assert finished(namespace)["phase"] == "Succeeded"
