"""What a BuildPolicy forbids, `kubectl apply` is told: in the operator's words, for every case that the operator knows."""

from __future__ import annotations

import pytest

from strake_api.buildpolicy import BuildPolicySpec
from strake_operator.reconcile.admission.policy import Policy, denial
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, refusal_of
from tests.e2e.builds import finished, manifest, until
from tests.e2e.isolation.test_policy import policy
from tests.unit.strake_operator.reconcile.admission.policy_cases import CASES, spec

LONG = {"maxTimeout": "9h"}
"""What shows that the API server knows a policy: nothing else in a case is about time that long."""


def image_build(changes):
    return {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": "app"},
        "spec": spec(**changes).to_dict(),
    }


@pytest.fixture
def enforced(namespace):
    """Apply a policy to the test's namespace, and wait until the API server goes by it."""

    def applied(**fields):
        apply(policy(namespace, **{**LONG, **fields}), namespace)
        too_long = image_build({"timeout": "10h"})
        until(
            lambda: namespace in refusal_of("imagebuilds", namespace, too_long), "the policy", lambda: fields
        )

    yield applied
    kubectl("delete", "buildpolicy", namespace, "--ignore-not-found")


def test_the_api_server_says_what_the_operator_says(namespace, enforced):
    different = []
    for fields, changes, _ in CASES:
        enforced(**fields)
        whole = Policy(namespace, BuildPolicySpec.model_validate({**LONG, **fields}))
        told = denial(spec(**changes), namespace, [whole])
        answer = refusal_of("imagebuilds", namespace, image_build(changes))
        if (told or "") not in answer or bool(told) != bool(answer):
            different.append((fields, changes, told, answer))
        kubectl("delete", "buildpolicy", namespace)
        until(
            lambda: not refusal_of("imagebuilds", namespace, image_build({"timeout": "10h"})),
            "the policy's end",
            lambda: fields,  # noqa: B023 - called before the next case
        )
    assert different == []


@pytest.mark.parametrize(
    ("operator", "key", "is_meant"),
    [
        ("Exists", "tier", False),
        ("DoesNotExist", "tier", True),
        ("In", "kubernetes.io/metadata.name", True),
        ("NotIn", "kubernetes.io/metadata.name", False),
    ],
)
def test_a_policy_is_for_the_namespaces_that_it_selects(namespace, enforced, operator, key, is_meant):
    values = {"values": ["another", namespace]} if operator.endswith("In") else {}
    requirement = {"key": key, "operator": operator, **values}
    enforced()
    own = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}  # others build meanwhile
    rules = {**LONG, "namespaceSelector": {**own, "matchExpressions": [requirement]}}
    apply(policy(namespace, **rules, destinations=["nothing"]), namespace)

    def refusals():
        return [refusal_of("imagebuilds", namespace, image_build(each)) for each in ({}, {"timeout": "10h"})]

    wanted = [is_meant, is_meant]
    until(lambda: list(map(bool, refusals())) == wanted, f"{requirement} to hold: {is_meant}", refusals)
    assert all("is none of nothing" in each for each in refusals() if is_meant)


def test_a_build_from_before_can_be_changed_but_for_its_spec(namespace, enforced):
    apply(manifest("FROM scratch\nCOPY Dockerfile /\n"), namespace)
    finished(namespace)
    enforced(destinations=["registry.example/*"])
    kubectl("annotate", "ib", "app", "-n", namespace, "strake.dev/cancel=1")
    with pytest.raises(ObjectError, match=f"BuildPolicy {namespace} forbids spec.output.destinations"):
        apply(manifest("FROM scratch\nCOPY Dockerfile /b\n"), namespace)
    kubectl("delete", "ib", "app", "-n", namespace)
