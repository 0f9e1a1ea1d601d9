"""Fixtures of the unit tests."""

from tests.fixtures.servers.certificates import certificates

__all__ = ["certificates"]
