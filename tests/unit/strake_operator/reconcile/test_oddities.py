"""Statuses that no operator writes: what is left of them, and what is told."""

from __future__ import annotations

import re

import pytest

from strake_api.status import CurrentRun, Phase, Run
from strake_operator.reconcile.oddities import mended
from tests.unit.strake_operator.reconcile.decisions import started, succeeded

NUMBERS = [Run(number=number, generation=1, phase=Phase.FAILED, reason="TimedOut") for number in (1, 2, 9)]
THIRD = CurrentRun(number=3, generation=1, trigger="Spec")


@pytest.mark.parametrize("status", [started(), succeeded()])
def test_what_the_operator_writes_is_not_odd(status):
    assert mended(status, 1) == (status, ())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observed_generation": 99}, "observedGeneration is 99"),
        ({"run": CurrentRun(number=1, generation=7, trigger="Spec")}, r"run\.generation is 7"),
        ({"phase": Phase.SUCCEEDED}, "there is no image"),
        ({"phase": Phase.FAILED}, "there is no failure"),
        ({"completion_time": "2026-11-22T12:00:00Z"}, "there is a completionTime"),
        ({"attempts": -1}, "attempts is -1"),
        ({"history": tuple(NUMBERS), "run": THIRD}, "history has the runs 1, 2, 9"),
    ],
)
def test_what_contradicts_itself_is_told_and_left_out(changes, words):
    status, oddities = mended(started().model_copy(update=changes), 1)
    assert len(oddities) == 1
    assert re.search(words, oddities[0])
    assert mended(status, 1) == (status, ()), "it is told once"


def test_of_a_history_what_can_be_is_kept():
    status, _ = mended(started().model_copy(update={"history": tuple(NUMBERS), "run": THIRD}), 1)
    assert [each.number for each in status.history or ()] == [2, 1]
