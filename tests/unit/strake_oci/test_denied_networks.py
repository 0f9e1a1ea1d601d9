"""Which addresses a list of networks denies, in every form in which an address can be written."""

from __future__ import annotations

import pytest

from strake_oci.errors import InvalidValueError
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks, parse_network

METADATA = DeniedNetworks.parse(["169.254.0.0/16", "127.0.0.0/8", "fe80::/10"])


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::ffff:a9fe:a9fe",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00:0",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::",
        "2001:0:808:808:0:0:5601:5601",
        "127.255.255.254",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "::ffff:0.0.0.0",
        "::",
        "fe80::1",
        "fe80::1%eth0",
    ],
)
def test_what_an_address_means_is_denied(address):
    assert METADATA.network_of(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "169.253.255.255",
        "169.255.0.0",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "2002:808:808::1",
        "2001:db8::a9fe:a9fe",
        "2606:4700::1",
    ],
)
def test_other_addresses_are_reached(address):
    assert METADATA.network_of(address) is None


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "0x7f.1",
        "127.1",
        "0",
        "::ffff:169.254.169.254",
        "169.254.169.254.",
        "\uff11\uff16\uff19.254.169.254",  # full-width digits, which IDNA reads
        "169\u3002254.169.254",
    ],
)
def test_a_literal_counts_in_every_notation(host):
    assert METADATA.network_of_literal(host) is not None


@pytest.mark.parametrize("host", ["8.8.8.8", "registry.example", "localhost", "", "x" * 300, "a\udcff"])
def test_a_name_is_no_literal(host):
    assert METADATA.network_of_literal(host) is None


def test_what_is_allowed_is_open_in_its_other_forms_too():
    networks = DeniedNetworks.parse(["10.0.0.0/8", "169.254.0.0/16"], ["10.96.5.0/24"])
    assert str(networks.network_of("10.96.4.1")) == "10.0.0.0/8"
    assert networks.network_of("10.96.5.1") is None
    assert networks.network_of("::ffff:10.96.5.1") is None
    assert networks.network_of("64:ff9b::10.96.5.1") is None
    assert networks.network_of("169.254.169.254") is not None


def test_no_ipv6_leaves_mapped_ipv4():
    assert DeniedNetworks.parse(["::/0"]).network_of("::ffff:8.8.8.8") is None
    assert DeniedNetworks.parse(["::/0"]).network_of("2001:db8::1") is not None


def test_an_empty_list_denies_nothing():
    assert NONE_DENIED.network_of("127.0.0.1") is None
    assert NONE_DENIED.network_of_literal("127.0.0.1") is None


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 10.1.2.3 ", "10.1.2.3/32"),
        ("fd00:ec2::254", "fd00:ec2::254/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_networks_are_read(text, read):
    assert str(parse_network(text)) == read


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1/8", "has bits set after its prefix"),
        ("10.0.0.0/33", "is no network"),
        ("example.com", "is no network"),
        ("", "is no network"),
        ("010.0.0.0/8", "is no network"),
    ],
)
def test_what_is_no_network(text, why):
    with pytest.raises(InvalidValueError, match=why):
        parse_network(text)
