"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.values.duration import format_duration, parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("1h30m", 5400), ("1h1m1s", 3661)])
def test_parse(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "1d", "s", "1m1h", "\uff11h"])
def test_parse_refuses(text):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**6))
def test_round_trip(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


def test_fractions_are_rounded():
    assert format_duration(61.6) == "1m2s"
