"""Fixtures of the integration tests."""

from tests.fixtures.builds import base_registry, builder

__all__ = ["base_registry", "builder"]
