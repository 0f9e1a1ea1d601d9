"""Sizes: what people write, and what is none."""

from __future__ import annotations

import pytest

from strake_api.values.size import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("5K", 5_000),
        ("500MB", 500_000_000),
        ("500 mib", 500 << 20),
        (" 20GiB ", 20 << 30),
        ("2Ti", 2 << 40),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1", "1.5GiB", "5PiB", "5 G i B", "\u0661", "1" * 5000])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)
