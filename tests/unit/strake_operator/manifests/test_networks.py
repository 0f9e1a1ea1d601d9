"""The platform's list of networks reaches the builder, with its request."""

from __future__ import annotations

from dataclasses import replace

from strake_builder.cli.registries.registry_access import requested_access
from strake_operator.manifests.request import request_for
from strake_operator.registries.document import PlatformRegistries
from strake_operator.settings.networks import ALWAYS_DENIED
from tests.unit.strake_operator.builders import SETTINGS, SPEC


def test_what_is_always_denied():
    networks = request_for(SPEC, "team", SETTINGS).networks
    assert networks.denied == ALWAYS_DENIED
    assert networks.allowed == ()


def test_what_the_platform_says():
    settings = replace(SETTINGS, denied_networks=("10.0.0.0/8",), allowed_networks=("10.1.0.0/16",))
    networks = request_for(SPEC, "team", settings).networks
    assert (networks.denied, networks.allowed) == (("10.0.0.0/8",), ("10.1.0.0/16",))


def test_a_registry_that_the_platform_only_names_is_known_to_the_builder():
    registries = PlatformRegistries.model_validate({"registries": {"registry.internal": {}}})
    request = request_for(SPEC, "team", replace(SETTINGS, registries=registries))
    assert "registry.internal" in request.registries.hosts
    assert requested_access(request).endpoint("registry.internal").any_network
    assert not requested_access(request).endpoint("other.internal").any_network
