"""Fixtures of the attacks."""

from tests.fixtures.building.builds import base_registry, builder
from tests.fixtures.servers.certificates import certificates

__all__ = ["base_registry", "builder", "certificates"]
