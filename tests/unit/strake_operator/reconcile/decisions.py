"""Decisions about a build that tests of several situations begin with, and the conditions that they give."""

from __future__ import annotations

from datetime import timedelta

from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import Decision
from tests.unit.strake_operator.builders import (
    NOW,
    SETTINGS,
    SUCCESS,
    ended,
    pod,
    run,
    seen,
)

UNDER_WAY = {
    "Ready": "False",
    "Succeeded": "Unknown",
    "Reconciling": "True",
    "Stalled": "False",
    "Finished": "False",
}
SUCCEEDED = {
    "Ready": "True",
    "Succeeded": "True",
    "Reconciling": "False",
    "Stalled": "False",
    "Finished": "True",
}
FAILED = {
    "Ready": "False",
    "Succeeded": "False",
    "Reconciling": "False",
    "Stalled": "True",
    "Finished": "True",
}
LATER = NOW + timedelta(minutes=5)


def decided(*runs, status=None, now=NOW, **changes) -> Decision:
    return decide(seen(*runs, status=status, **changes), SETTINGS, now)


def started():
    """The status right after the first Job was started."""
    return decided().status


def succeeded():
    return decided(run(pod=pod(ended(SUCCESS.to_json(), exit_code=0))), status=started()).status
