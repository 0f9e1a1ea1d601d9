"""A platform that keeps logs: what a build wrote can be read when its pod is gone."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import LOCKED_PASSWORD, LOCKED_REGISTRY, LOCKED_USER
from tests.e2e.builds import (
    building,
    finished,
    jobs,
    manifest,
    pods,
    registry_secret,
    status_of,
    until,
)
from tests.e2e.intrusions import SIDECAR, injected, kept_builds
from tests.e2e.operators import OPERATOR
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.servers.gateway import docker_config

if TYPE_CHECKING:
    from collections.abc import Iterator

PUSH = {"name": "push"}


@pytest.fixture(autouse=True)
def log_repository(namespace, request) -> Iterator[None]:
    """Have a policy that keeps the logs of the test's namespace, with what a test adds to it."""
    rules = {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "BuildPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "logRepository": f"{LOCKED_REGISTRY}/e2e-logs/{{namespace}}",
            **getattr(request, "param", {}),
        },
    }
    apply(rules, namespace)
    apply(manifest("FROM TINY\n", name="probe", suspend=True), namespace)
    until(
        lambda: status_of(namespace, "probe").get("logRepository"),
        "the operator to know the policy",
        lambda: status_of(namespace, "probe"),
    )
    kubectl("delete", "ib", "probe", "-n", namespace)
    yield
    kubectl("delete", "buildpolicy", namespace)


@pytest.fixture
def account(namespace, tmp_path) -> dict[str, str]:
    """Make the namespace's credentials; return the environment of a person who has them."""
    registry_secret(namespace, "push")
    docker_config(tmp_path / "config.json", LOCKED_REGISTRY, LOCKED_USER, LOCKED_PASSWORD)
    return {**os.environ, "DOCKER_CONFIG": str(tmp_path)}


def log_of(namespace: str, account: dict[str, str], name: str = "app") -> str:
    """Return the log of the last run, as `strake logs` prints it."""
    until(lambda: newest(namespace, name).get("log"), "the log", lambda: status_of(namespace, name))
    reference = newest(namespace, name)["log"]
    assert reference.startswith(f"{LOCKED_REGISTRY}/e2e-logs/{namespace}@sha256:")
    words = [str(STRAKE), "logs", "--insecure", f"--insecure-credentials={LOCKED_REGISTRY}", reference]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, env=account)
    assert done.returncode == 0, done.stderr
    return done.stdout


def newest(namespace: str, name: str = "app") -> dict:
    return (status_of(namespace, name).get("history") or [{}])[0]


@pytest.mark.parametrize("log_repository", [{"logSecret": PUSH}], indirect=True)
def test_a_log_outlives_its_pod(namespace, account):
    """The build has no Secret: the policy's opens the logs' repository."""
    text = "FROM TINY\nRUN echo told-so && printf 'a\\033[2Jb\\n'\n"
    apply(manifest(text, retention={"ttlAfterSuccess": "0s"}), namespace)
    assert finished(namespace)["phase"] == "Succeeded", status_of(namespace)
    until(lambda: pods(namespace) == [] and jobs(namespace) == [], "no pod", lambda: pods(namespace))
    log = log_of(namespace, account)
    assert "#1 | told-so" in log
    assert "| ab" in log
    assert log.splitlines()[-1].startswith("== done: sha256:")


def test_a_failure_and_a_builder_that_is_killed_leave_their_logs(namespace, account):
    apply(manifest("FROM TINY\nRUN echo before && exit 3\n", pushSecret=PUSH), namespace)
    assert finished(namespace)["failure"]["reason"] == "RunStepFailed"
    assert "#1 | before" in log_of(namespace, account)
    apply(manifest("FROM TINY\nRUN echo going && sleep 600\n", name="killed", pushSecret=PUSH), namespace)
    building(namespace, "sleep 600", name="killed")
    kubectl("annotate", "ib", "killed", "-n", namespace, "strake.dev/cancel=now")
    assert finished(namespace, name="killed")["failure"]["reason"] == "Cancelled"
    assert "#1 | going" in log_of(namespace, account, "killed")


def test_a_build_that_runs_out_of_memory_leaves_its_log_and_what_was_used(namespace, account):
    text = "FROM TINY\nRUN echo before && tail /dev/zero\n"
    apply(manifest(text, pushSecret=PUSH, resources={"limits": {"memory": "256Mi"}}), namespace)
    failure = finished(namespace)["failure"]
    assert (failure["reason"], failure.get("line")) == ("OutOfMemory", 2), failure
    assert "its limit is 256Mi" in failure["message"]
    assert "the container used 25" in failure["message"], failure
    assert "raise spec.resources.limits.memory" in failure["message"]
    assert (failure["exitCode"], failure["logTail"]) == (137, "before")
    log = log_of(namespace, account)
    assert "#1 | before" in log
    assert "was killed for lack of memory" in log.splitlines()[-1]


def test_another_sigkill_is_no_lack_of_memory(namespace, account):
    apply(manifest("FROM TINY\nRUN sh -c 'kill -9 $$' || exit $?\n", pushSecret=PUSH), namespace)
    failure = finished(namespace)["failure"]
    assert (failure["reason"], failure["exitCode"]) == ("RunStepFailed", 137)
    assert "not the kernel for lack of memory" in failure["message"]


def test_a_log_is_kept_beside_a_sidecar_that_does_not_end(namespace, account):
    with injected(namespace, f"sidecar-{namespace}", SIDECAR, sign='"sidecar"'):
        apply(manifest("FROM TINY\nRUN echo told-so\n", pushSecret=PUSH), namespace)
        assert finished(namespace)["phase"] == "Succeeded", status_of(namespace)
        until(lambda: pods(namespace) == [] and jobs(namespace) == [], "no pod", lambda: pods(namespace))
        assert "#1 | told-so" in log_of(namespace, account)


def test_a_namespace_that_is_deleted_under_a_build_ends_it_once(namespace):
    """Its pod, Job and Secrets go in any order, and nothing can be made there: no event, no other pod."""
    ending = f"{namespace}-ends"
    kubectl("create", "namespace", ending)
    registry_secret(ending, "push")
    apply(manifest("FROM TINY\nRUN echo going && sleep 600\n", pushSecret=PUSH), ending)
    building(ending, "sleep 600")
    with kept_builds(ending):
        kubectl("delete", "namespace", ending, "--wait=false")

        def is_over() -> bool:
            status = status_of(ending)
            cancelled = status.get("failure", {}).get("reason") == "Cancelled"
            return pods(ending) == [] and (
                cancelled or "is being deleted: nothing" in status.get("progress", "")
            )

        until(is_over, "the end of the run", lambda: status_of(ending))
        assert status_of(ending)["attempts"] == 1
    log = kubectl("logs", "-n", "strake-system", "-l", OPERATOR, "--tail=-1")
    starts = [line for line in log.splitlines() if f"{ending}/app: starting Job" in line]
    assert len(starts) <= 3, starts


def test_a_log_that_cannot_be_pushed_is_told_and_fails_no_build(namespace):
    apply(manifest("FROM TINY\nRUN true\n"), namespace)
    assert finished(namespace)["phase"] == "Succeeded"
    until(lambda: newest(namespace).get("logFailure"), "why", lambda: status_of(namespace))
    assert f"{LOCKED_REGISTRY}/e2e-logs/{namespace}" in newest(namespace)["logFailure"]
    until(
        lambda: "LogNotKept" in kubectl("get", "events", "-n", namespace),
        "the event",
        lambda: kubectl("get", "events", "-n", namespace),
    )
