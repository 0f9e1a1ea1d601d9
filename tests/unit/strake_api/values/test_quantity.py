"""Bytes as a spec would have them."""

from __future__ import annotations

import pytest

from strake_api.values.quantity import parse_quantity, shown_bytes


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (1000, "1000"),
        (256 << 20, "256Mi"),
        (3 << 29, "1.5Gi"),
        (4 << 40, "4Ti"),
        (1 << 70, "1024Ei"),
    ],
)
def test_bytes_are_a_quantity(count, shown):
    assert shown_bytes(count) == shown
    assert parse_quantity(shown) == count
