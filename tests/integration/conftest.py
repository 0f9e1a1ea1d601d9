"""Fixtures of the integration tests."""

import pytest

from tests.fixtures.building.builds import base_registry, builder
from tests.fixtures.servers.certificates import certificates
from tests.fixtures.servers.registry import running_registry

__all__ = ["base_registry", "builder", "certificates"]


@pytest.fixture(scope="module")
def plain():
    """A registry of the module's own, without TLS and authentication."""
    with running_registry() as running:
        yield running
