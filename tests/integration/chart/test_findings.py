"""No finding of tools that judge charts is unexplained, and no explanation is of a finding that is gone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.helm.charts import rendered
from tests.helm.findings import of_kube_score, security_and_availability

pytestmark = pytest.mark.timeout(
    900
)  # helm and kube-score are compiled, checkov is installed, where they are not
ACCEPTED = yaml.safe_load(Path(__file__).with_name("accepted.yaml").read_text())
EXPLAINED = Counter(finding for each in ACCEPTED for finding in each["findings"])


def test_every_finding_in_the_defaults_is_explained():
    """With the DaemonSet of the seccomp profile, whose pods alone are root."""
    found = security_and_availability(rendered("--set=seccompProfile.enabled=true").values())
    assert {each: found[each] for each in found.keys() - EXPLAINED.keys()} == {}, "unexplained"
    assert EXPLAINED.keys() - found.keys() == set(), "explained, and gone"


def test_each_is_explained_once():
    assert [finding for finding, count in EXPLAINED.items() if count > 1] == []
    assert all(len(each["reason"]) > 40 for each in ACCEPTED)


def test_a_worse_chart_is_found():
    objects = rendered()
    (operator,) = [each for each in objects.values() if each["kind"] == "Deployment"]
    container = operator["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"]["privileged"] = True
    del container["resources"]
    del objects["PodDisruptionBudget", "strake-system", "strake-operator"]
    assert {each.partition(" ")[2] for each in of_kube_score(objects.values()).keys() - EXPLAINED.keys()} == {
        "container-security-context-privileged",
        "deployment-has-poddisruptionbudget",
    }


def test_the_network_policy_that_can_be_on_is_one():
    found = of_kube_score(rendered("--set=networkPolicy.operator.enabled=true").values())
    assert "Deployment/strake-operator pod-networkpolicy" not in found
