"""Fields of a destination's tag: what fills them, and what a filled one may look like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.values.destinations import (
    branch_value,
    fields_of,
    filled,
    run_values,
    sample,
    tag_of,
    tag_pattern,
)
from strake_oci.spec.reference import Reference

MOMENT = datetime(2026, 1, 31, 23, 30, tzinfo=timezone(timedelta(hours=-2)))


def test_a_run_fills_them():
    values = run_values("a1b2c3d4" * 5, MOMENT)
    assert values == {
        "timestamp": "1769909400",
        "date": "20260201",
        "revision": "a1b2c3d4" * 5,
        "shortRevision": "a1b2c3d",
    }
    assert (
        filled("r.example/a:{date}-{shortRevision}-{branch}", values)
        == "r.example/a:20260201-a1b2c3d-{branch}"
    )
    assert fields_of("r.example/a:{branch}-{date}") == {"branch", "date"}
    assert "revision" not in run_values(None, MOMENT)


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        ("main", "main"),
        ("refs/heads/feature/x", "feature-x"),
        ("refs/tags/v1.2", "v1.2"),
        ("fix@home#3+4", "fix-home-3-4"),
        ("-.x", "x"),
        ("ä" * 5, "0"),
        ("x" * 100, "x" * 63),
        ("{date}", "date-"),
    ],
)
def test_a_branch_becomes_what_a_tag_can_hold(ref, value):
    assert branch_value(ref) == value


@given(st.text(max_size=200))
def test_no_branch_leaves_the_tag(ref):
    made = filled("r.example/app:{branch}", {"branch": branch_value(ref)})
    reference = Reference.parse(made)
    assert str(reference.repository) == "r.example/app"
    assert not fields_of(made)
    assert tag_pattern("{branch}").fullmatch(reference.tag or "")


@given(st.integers(10**9, 7 * 10**9), st.sampled_from(["a" * 40, "0" * 64]))
def test_what_is_filled_matches_its_pattern(second, revision):
    tag = "x.{revision}_{shortRevision}-{timestamp}.{date}"
    values = run_values(revision, datetime.fromtimestamp(second, UTC))
    assert tag_pattern(tag).fullmatch(filled(tag, values))


@pytest.mark.parametrize("tag", ["main", "x1", "1a", "main-0123456", "MAIN-0123456789", "main-01234567890"])
def test_another_tag_does_not(tag):
    assert not tag_pattern("main-{timestamp}").fullmatch(tag)
    assert not tag_pattern("main.{timestamp}").fullmatch("mainx0123456789"), "a dot is a dot"


@pytest.mark.parametrize(
    ("destination", "tag"),
    [
        ("r.example:5000/a", "latest"),
        ("r.example:5000/a:1", "1"),
        ("a:{date}", "{date}"),
        ("a", "latest"),
        ("localhost:5000/a/b:x-{branch}", "x-{branch}"),
    ],
)
def test_the_tag_of_a_destination(destination, tag):
    assert tag_of(destination) == tag
    assert Reference.parse(sample(destination)).repository
