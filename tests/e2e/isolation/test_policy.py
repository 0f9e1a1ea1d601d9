"""A BuildPolicy on a namespace: what it forbids never gets a Job, and its ceilings hold for what it allows."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import KubectlError, apply, kubectl
from tests.cluster.objects import read
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import conditions, finished, jobs, manifest, status_of, until


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
    asks = iter(range(1, 1000))

    def is_denied():
        """Ask until the operator knows of the policy, whose watch is another than that of the build."""
        status = finished(namespace)
        if status["phase"] == "Succeeded":
            kubectl("annotate", "ib", "app", "-n", namespace, "--overwrite", f"strake.dev/rerun={next(asks)}")
        return status.get("failure", {}).get("reason") == "PolicyDenied"

    until(is_denied, "the refusal", lambda: status_of(namespace))
    status = status_of(namespace)
    words = f"BuildPolicy {namespace} forbids spec.output.destinations[0]: '{REGISTRY}/e2e/app:1' is none of"
    assert status["failure"]["message"].startswith(words), status
    assert "job" not in status
    assert conditions(status)["Stalled"] == "True"

    output = {"destinations": [f"{REGISTRY}/{namespace}/app:1"]}
    with pytest.raises(KubectlError, match=r"spec.pushSecret: Secret 'any'"):
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
    with pytest.raises(KubectlError, match=words):
        apply(policy(namespace, **spec), namespace)
