"""The NetworkPolicies of deploy/: whom they are for, and what they leave closed."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
import yaml

from strake_operator.manifests.job import builder_job
from strake_operator.settings.networks import ALWAYS_DENIED
from tests.unit.strake_operator.builders import SETTINGS, SPEC
from tests.unit.strake_operator.manifests.test_manifests import RUN

DEPLOY = Path(__file__).parents[3] / "deploy"
BUILDERS = yaml.safe_load((DEPLOY / "network/builders.yaml").read_text())["spec"]
OPERATOR = yaml.safe_load((DEPLOY / "network/operator.yaml").read_text())["spec"]


def is_open(address: str) -> bool:
    """Return whether the policy of builders leaves an address open on every port."""
    (everywhere,) = [each["to"] for each in BUILDERS["egress"] if "ports" not in each]
    return any(
        ipaddress.ip_address(address) in ipaddress.ip_network(block["cidr"])
        and not any(
            ipaddress.ip_address(address) in ipaddress.ip_network(closed) for closed in block["except"]
        )
        for block in (each["ipBlock"] for each in everywhere)
    )


def test_it_selects_the_pods_that_the_operator_makes():
    labels = builder_job(RUN, SPEC, SETTINGS)["spec"]["template"]["metadata"]["labels"]
    (wanted,) = BUILDERS["podSelector"]["matchExpressions"]
    assert wanted == {"key": "strake.dev/uid", "operator": "Exists"}
    assert wanted["key"] in labels


def test_it_selects_the_operator():
    documents = yaml.safe_load_all((DEPLOY / "operator.yaml").read_text())
    (pod,) = [each["spec"]["template"] for each in documents if each["kind"] == "Deployment"]
    assert OPERATOR["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("policy", [BUILDERS, OPERATOR], ids=["builders", "operator"])
def test_nobody_reaches_them(policy):
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in policy


@pytest.mark.parametrize("network", ALWAYS_DENIED)
def test_what_the_builder_does_not_reach_its_steps_do_not_reach_either(network):
    assert not is_open(str(ipaddress.ip_network(network)[-1])) or network == "0.0.0.0/8"  # nobody's


@pytest.mark.parametrize("address", ["10.0.0.1", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd00::1"])
def test_private_addresses_are_closed(address):
    assert not is_open(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "2001:4860:4860::8888"])
def test_public_addresses_are_open(address):
    assert is_open(address)
