"""Who acts: for each state of the Lease and of the clock, and for any two operators that see it late or never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_operator.errors import SettingsError
from strake_operator.lease import NOBODY, Lease, Move, Seen, decide, holds, terms
from strake_operator.settings.lease import read_lease_settings

TERMS = terms(15)
ME, OTHER = "me", "other"


def lease(holder, seconds=15.0, version="1"):
    return Lease(holder, seconds, 0, version)


@pytest.mark.parametrize(
    ("seen", "now", "move"),
    [
        (Seen(None, 0), 0, Move.ACQUIRE),
        (Seen(lease(NOBODY), 0), 0, Move.ACQUIRE),
        (Seen(lease(ME), 0), 0, Move.ACQUIRE),
        (Seen(lease(OTHER), 100), 114.9, Move.WAIT),
        (Seen(lease(OTHER), 100), 115, Move.ACQUIRE),
        (Seen(lease(OTHER, 60), 100), 115, Move.WAIT),
        (Seen(lease(ME), 100, renewed=100), 101.9, Move.WAIT),
        (Seen(lease(ME), 100, renewed=100), 102, Move.RENEW),
        (Seen(lease(ME), 100, renewed=100), 109.9, Move.RENEW),
        (Seen(lease(ME), 100, renewed=100), 110, Move.LOST),
        (Seen(lease(ME), 100, renewed=100), 9999, Move.LOST),
        (Seen(lease(OTHER), 100, renewed=100), 101, Move.LOST),
        (Seen(lease(NOBODY), 100, renewed=100), 101, Move.LOST),
        (Seen(None, 100, renewed=100), 101, Move.LOST),
    ],
    ids=[
        "there is none", "given up", "its own, of before it was started again", "another's", "not renewed",
        "its holder's duration counts", "just renewed", "time to renew", "late", "too late",
        "stopped for hours", "taken", "given up by somebody", "deleted",
    ],
)  # fmt: skip
def test_what_to_do(seen, now, move):
    assert decide(seen, ME, TERMS, now) is move


@given(st.floats(5, 600), st.floats(0, 1e6), st.floats(0, 30))
def test_nobody_begins_before_the_holder_has_stopped(duration, renewed, late):
    """The holder counts from before its request, who looks from when it saw the answer to it, or later."""
    agreed = terms(duration)
    seen = Seen(lease(OTHER, duration), renewed + late)
    begins = seen.since + duration
    assert not holds(renewed, agreed, begins)
    assert not holds(renewed, agreed, begins - duration / 4), "with some time for what is under way"
    assert decide(seen, ME, agreed, begins - 0.001) is Move.WAIT


def test_the_terms_are_those_of_kubernetes():
    assert (TERMS.duration_seconds, TERMS.deadline_seconds, TERMS.renew_seconds) == (15, 10, 2)


def test_a_pod_has_the_lease_of_its_namespace_under_its_own_name(tmp_path):
    file = tmp_path / "namespace"
    file.write_text("platform\n")
    found = read_lease_settings({"STRAKE_IDENTITY": "pod_uid", "STRAKE_LEASE_SECONDS": "30"}, file)
    assert (found.namespace, found.name, found.identity) == ("platform", "strake-operator-leader", "pod_uid")
    assert found.terms == terms(30)


def test_two_operators_outside_a_cluster_have_two_names(tmp_path):
    first, second = (read_lease_settings({}, tmp_path / "none") for _ in range(2))
    assert first.identity != second.identity
    assert first.namespace == "strake-system"


@pytest.mark.parametrize(
    "environment",
    [{"STRAKE_LEASE": "name"}, {"STRAKE_LEASE": "a/b/c"}, {"STRAKE_LEASE_SECONDS": "4"}, {"STRAKE_LEASE_SECONDS": "x"}],
    ids=str,
)  # fmt: skip
def test_a_mistake_names_its_variable(environment, tmp_path):
    with pytest.raises(SettingsError, match=next(iter(environment))):
        read_lease_settings(environment, tmp_path / "none")
