"""Go's durations."""

from __future__ import annotations

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.reading.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("1ns", 1),
        ("1.5us", 1500),
        ("2µs", 2000),
        ("10ms", 10_000_000),
        ("1m30s", 90_000_000_000),
        ("1h0.5m", 3_630_000_000_000),
        (".5s", 500_000_000),
        ("-3s", -3_000_000_000),
        ("+1s", 1_000_000_000),
    ],
)
def test_duration(text, nanoseconds):
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", ".s", "1x", "1s ", "--1s", "9" * 30 + "h", "1s" * 40, "1d", "\u0661s"]
)
def test_no_duration(text):
    with pytest.raises(FaultError, match="invalid duration"):
        parse_duration(text)
