"""Values as Go prints them."""

from __future__ import annotations

import pytest

from strake_builder.frontend.evaluation.go_text import duration, quote, quoted_list


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_000_000_000, "1s"),
        (90_500_000_000, "1m30.5s"),
        (3_600_000_000_000, "1h0m0s"),
        (-5_000_000_000, "-5s"),
    ],
)
def test_duration(nanoseconds, text):
    assert duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a b", '"a b"'),
        ('"\\\n\t', '"\\"\\\\\\n\\t"'),
        ("é", '"é"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("\u2028", '"\\u2028"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("\udcff", '"\\xff"'),
    ],
)
def test_quote(text, quoted):
    assert quote(text) == quoted


def test_list():
    assert quoted_list(["a", ""]) == '["a" ""]'
