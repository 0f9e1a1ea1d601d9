"""Which networks a namespace's policies leave open, asked of the builder's own check."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.buildpolicy import BuildPolicySpec, Networks
from strake_oci.http.denied_networks import DeniedNetworks
from strake_operator.reconcile.admission.opened import opened

METADATA = "169.254.169.254"


def networks(deny=(), allow=()):
    return Networks(deny=tuple(deny), allow=tuple(allow))


def reached(policies, *addresses, denied=("169.254.0.0/16", "10.0.0.0/8"), allowed=("10.9.0.0/16",)):
    """Return which of some addresses a build may connect to."""
    lists = DeniedNetworks.parse(*opened(denied, allowed, policies))
    return [each for each in addresses if lists.network_of(each) is None]


def test_a_policy_closes_networks():
    policy = networks(deny=["192.0.2.0/24"])
    assert reached([policy], "192.0.2.1", "198.51.100.1", METADATA, "10.1.1.1") == ["198.51.100.1"]


def test_a_policy_opens_what_the_platform_closes():
    policy = networks(allow=["10.1.0.0/16"])
    assert reached([policy], "10.1.1.1", "10.2.1.1", "10.9.1.1", METADATA) == ["10.1.1.1", "10.9.1.1"]


def test_a_policy_closes_what_the_platform_opens():
    assert reached([networks(deny=["10.9.1.0/24"])], "10.9.1.1", "10.9.2.1") == ["10.9.2.1"]


def test_nothing_but_some_networks_can_be_open():
    policy = networks(deny=["0.0.0.0/0", "::/0"], allow=["192.0.2.0/24", "2001:db8::/32"])
    found = reached([policy], "192.0.2.1", "2001:db8::1", "198.51.100.1", "2001:db9::1", "10.9.1.1", METADATA)
    assert found == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize("order", [1, -1])
def test_what_one_policy_closes_no_other_opens(order):
    one, other = networks(deny=["192.0.2.0/24"], allow=["192.0.2.128/25"]), networks(allow=["192.0.0.0/16"])
    assert reached([one, other][::order], "192.0.2.1", "192.0.2.129", "192.0.3.1") == [
        "192.0.2.129",
        "192.0.3.1",
    ]


def test_an_address_inside_another_form_is_closed_too():
    assert reached([networks(deny=["192.0.2.0/24"])], "::ffff:192.0.2.1", "64:ff9b::c000:201") == []


def test_bits_after_the_prefix_do_not_count():
    assert reached([networks(deny=["192.0.2.77/24"])], "192.0.2.1") == []


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/255.0.0.0",
        "fe80::1%eth0/64",
        "::ffff:10.0.0.0/104",
        "x",
        "",
    ],
)
def test_what_kubernetes_takes_for_no_network_is_refused(text):
    with pytest.raises(ValidationError, match="a network is written as"):
        BuildPolicySpec.model_validate({"networks": {"deny": [text]}})
