"""What the operator may do, and what its policy lets builder pods have: nothing that is not needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from strake_operator.manifests.pod.isolation import BASELINE_CAPABILITIES
from strake_operator.settings.lease import NAME

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DOCUMENTS = [
    document
    for file in DEPLOY.rglob("*.yaml")
    if "argocd" not in str(file)
    for document in yaml.safe_load_all(file.read_text())
    if document
]
RULES = [
    (document["metadata"]["name"], rule)
    for document in DOCUMENTS
    if document.get("kind") in {"ClusterRole", "Role"}
    for rule in document["rules"]
]


@pytest.mark.parametrize(("role", "rule"), RULES)
def test_no_rule_has_a_wildcard(role, rule):
    assert "*" not in [each for words in rule.values() for each in words]


@pytest.mark.parametrize(("role", "rule"), RULES)
def test_nobody_gets_secrets(role, rule):
    assert "secrets" not in rule["resources"]


@pytest.mark.parametrize("verb", ["escalate", "bind", "impersonate"])
def test_nobody_gets_more_rights_by_the_operator(verb):
    assert not [rule for _, rule in RULES if verb in rule["verbs"]]


def test_the_policy_knows_the_capabilities_that_the_operator_names():
    text = (DEPLOY / "admission.yaml").read_text()
    listed = re.search(r"name: capabilities\n\s+expression: >-\n(.*?)\]", text, re.DOTALL)
    assert listed
    assert tuple(re.findall(r"'([A-Z_]+)'", listed[1])) == BASELINE_CAPABILITIES


def test_the_operator_may_renew_its_lease_under_the_name_that_kustomize_leaves():
    """A name that a generated ConfigMap has, too, gets the hash of that one's content."""
    names = [
        name for _, rule in RULES if "leases" in rule["resources"] for name in rule.get("resourceNames", ())
    ]
    assert names == [NAME]
    generated = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["configMapGenerator"]
    assert NAME not in [each["name"] for each in generated]
