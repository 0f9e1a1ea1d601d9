"""A BuildPolicy on a namespace: what it forbids never gets a Job, and its ceilings hold for what it allows."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, read, refusal_of
from tests.cluster.settings import LOCKED_REGISTRY, REGISTRY
from tests.e2e.builds import (
    UID,
    ask_for_rerun,
    build,
    conditions,
    finished,
    jobs,
    manifest,
    registry_secret,
    status_of,
    until,
)
from tests.e2e.conftest import TINY
from tests.e2e.intrusions import cluster_wide


def policy(name, **spec):
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    return {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "BuildPolicy",
        "metadata": {"name": name},
        "spec": {"namespaceSelector": selector, **spec},
    }


@pytest.fixture
def strict(namespace):
    """Return what applies a policy to the test's namespace."""
    yield lambda: _apply(namespace)
    kubectl("delete", "buildpolicy", namespace)


def _apply(namespace):
    allowed = [f"{REGISTRY}/{{namespace}}/*"]
    rules = policy(
        namespace,
        destinations=allowed,
        secrets=[],
        maxTimeout="5m",
        maxResources={"memory": "1Gi"},
        maxRuns=1,
        baseImages={"names": [f"{REGISTRY}/tiny"]},
    )
    apply(rules, namespace)


def test_a_forbidden_build_gets_no_job_and_an_allowed_one_its_ceilings(namespace, strict):
    """The build is from before the policy: later ones are refused to `kubectl apply`."""
    apply(manifest("FROM TINY\nRUN true\n"), namespace)
    finished(namespace)
    strict()

    def is_denied():
        """Ask until the operator knows of the policy, whose watch is another than that of the build."""
        status = finished(namespace)
        if status["phase"] == "Succeeded":
            ask_for_rerun(namespace)
        return status.get("failure", {}).get("reason") == "PolicyDenied"

    until(is_denied, "the refusal", lambda: status_of(namespace))
    status = status_of(namespace)
    words = f"BuildPolicy {namespace} forbids spec.output.destinations[0]: '{REGISTRY}/e2e/app:1' is none of"
    assert status["failure"]["message"].startswith(words), status
    assert "job" not in status
    assert conditions(status)["Stalled"] == "True"

    output = {"destinations": [f"{REGISTRY}/{namespace}/app:1"]}
    with pytest.raises(ObjectError, match=r"spec.pushSecret: Secret 'any'"):
        apply(manifest("FROM TINY\nRUN true\n", output=output, pushSecret={"name": "any"}), namespace)
    apply(manifest("FROM TINY\nRUN true\n", output=output), namespace)
    status = finished(namespace, generation=2)
    assert status["phase"] == "Succeeded", status
    assert jobs(namespace) == [status["job"]]
    template = read("jobs", namespace, status["job"])["spec"]["template"]["spec"]
    (builder,) = (each for each in template["containers"] if each["name"] == "builder")
    assert builder["resources"]["limits"]["memory"] == "1Gi"
    apply(manifest(f"FROM {REGISTRY}/base:1\n", output=output), namespace)
    failure = finished(namespace, generation=3)["failure"]
    assert failure["reason"] == "PolicyDenied"
    words = f"BuildPolicy {namespace} forbids the image {REGISTRY}/base:1"
    assert failure["message"].startswith(words), failure


def test_pods_run_where_the_policy_says(namespace):
    """On nodes of its choice, with its tolerations and its priority; a spec that wants another node is refused."""
    label, priority = f"e2e-{namespace}", f"builds-{namespace}"
    a_class = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": priority},
        "value": 7,
    }
    toleration = {"key": "builds", "operator": "Equal", "value": "only", "effect": "NoSchedule"}
    placement = {
        "nodeSelector": {label: "yes"},
        "tolerations": [toleration],
        "allowedTaints": [],
        "priorityClassNames": [],
        "defaultPriorityClassName": priority,
    }
    with cluster_wide(a_class, policy(namespace, placement=placement)):
        for asked, words in (
            ({"nodeSelector": {label: "no"}}, "spec.pod.nodeSelector"),
            ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, "spec.pod.tolerations"),
            ({"priorityClassName": "system-node-critical"}, "spec.pod.priorityClassName"),
        ):
            refused_with(namespace, words, pod=asked)
        apply(manifest("FROM TINY\nRUN true\n"), namespace)

        def is_placed():
            """Ask until the operator knows of the policy, whose watch is another than that of the build."""
            waits = "no node fits the builder pod" in status_of(namespace).get("progress", "")
            if status_of(namespace).get("phase") == "Succeeded":
                ask_for_rerun(namespace)
            return waits

        until(is_placed, "a pod that no node fits", lambda: status_of(namespace))
        try:
            kubectl("label", "node", "node", f"{label}=yes")
            until(
                lambda: status_of(namespace).get("phase") == "Succeeded",
                "the build's end",
                lambda: status_of(namespace),
            )
        finally:
            kubectl("label", "node", "node", f"{label}-")
        (pod,) = read("pods", namespace, labels=UID)["items"]
    assert pod["spec"]["nodeSelector"][label] == "yes"
    assert toleration in pod["spec"]["tolerations"]
    assert (pod["spec"]["priorityClassName"], pod["spec"]["priority"]) == (priority, 7)


def test_builds_without_a_pull_secret_get_the_policys(namespace):
    private = f"{LOCKED_REGISTRY}/bases/{namespace}:1"
    registry_secret(namespace, "push")
    push = {"name": "push"}
    made = build(namespace, f"FROM {TINY}\n", output={"destinations": [private]}, pushSecret=push)
    assert made["phase"] == "Succeeded", made

    def again():
        ask_for_rerun(namespace, "next")
        return finished(namespace, name="next")

    with cluster_wide(policy(namespace, secrets=["push"], defaultPullSecret={"name": "team-pull"})):
        apply(manifest(f"FROM {private}\nRUN true\n", name="next"), namespace)
        # The operator's watch of policies is another than that of builds.
        first = finished(namespace, name="next")["failure"]["reason"]
        assert first in {"BaseImagePullFailed", "SecretNotFound"}
        until(lambda: again()["failure"]["reason"] == "SecretNotFound", "the policy", lambda: first)
        message = status_of(namespace, "next")["failure"]["message"]
        assert 'Secret "team-pull" does not exist in this namespace: a BuildPolicy gives it' in message
        registry_secret(namespace, "team-pull")
        assert again()["phase"] == "Succeeded", status_of(namespace, "next")


def refused_with(namespace, words, **spec):
    """Wait until the API server refuses an ImageBuild: it takes a while to know of a new policy."""

    def refusal() -> str:
        made = manifest("FROM TINY\nRUN true\n", name="probe", **spec)
        return refusal_of("imagebuilds", namespace, made)

    until(lambda: words in refusal(), f"a refusal with {words}", refusal)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"defaultCacheRepository": "registry.example/cache"}, r"a repository with \{namespace\} in it"),
        (
            {"defaultCacheRepository": "Registry.example/{namespace}/A"},
            r"a repository with \{namespace\} in it",
        ),
        ({"logRepository": "registry.example/logs"}, "logRepository is a repository with"),
        ({"maxResources": {"memory": "1GB"}}, "quantity with a unit of Kubernetes"),
    ],
)
def test_a_policy_with_a_mistake_is_refused(namespace, spec, words):
    with pytest.raises(ObjectError, match=words):
        apply(policy(namespace, **spec), namespace)
