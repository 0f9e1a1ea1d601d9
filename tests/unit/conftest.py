"""Fixtures of the unit tests."""

from tests.fixtures.certificates import certificates

__all__ = ["certificates"]
