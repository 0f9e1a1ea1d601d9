"""What is kept of runs that ended, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from strake_api.spec.retention import Retention
from strake_api.status import ImageBuildStatus, Phase, Run
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StartRun, StopRun
from strake_operator.reconcile.observed import InvalidSpec, Observation, Running
from strake_operator.reconcile.retention import bounded
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import FAILURE, NOW, SETTINGS, SPEC, SUCCESS, build, ended, pod, run
from tests.unit.strake_operator.reconcile.decisions import decided


def keeping(**retention):
    return SPEC.model_copy(update={"retention": Retention.model_validate(retention)})


def history(outcomes: str) -> tuple[Run, ...]:
    """Return runs, newest first: s succeeded, f failed."""
    phases = {"s": Phase.SUCCEEDED, "f": Phase.FAILED}
    return tuple(
        Run(number=len(outcomes) - at, generation=1, phase=phases[each], reason="Pushed")
        for at, each in enumerate(outcomes)
    )


@pytest.mark.parametrize(
    ("retention", "outcomes", "numbers"),
    [
        ({}, "sfsfsfs", [7, 6, 5, 4, 3]),
        ({"successfulRuns": 2}, "sfsfsfs", [7, 6, 5, 4, 2]),
        ({"successfulRuns": 2, "failedRuns": 1}, "sfsfsfs", [7, 6, 5]),
        ({"failedRuns": 0}, "sfsfsfs", [7, 5, 3, 1]),
        ({"successfulRuns": 0, "failedRuns": 0}, "sf", []),
        ({"failedRuns": 1}, "s" * 7, [7, 6, 5, 4, 3]),
        ({"successfulRuns": 20}, "s" * 30, list(range(30, 10, -1))),
        ({"ttlAfterSuccess": "1m"}, "s" * 7, [7, 6, 5, 4, 3]),
    ],
)
def test_the_history_keeps_so_many_of_each_outcome(retention, outcomes, numbers):
    status = bounded(ImageBuildStatus(history=history(outcomes)), keeping(**retention))
    assert [each.number for each in status.history or ()] == numbers


def test_a_spec_that_cannot_be_read_keeps_what_is_usual():
    assert len(present(bounded(ImageBuildStatus(history=history("s" * 9)), InvalidSpec("x")).history)) == 5


@pytest.mark.parametrize(
    ("retention", "is_accepted"),
    [
        ({"ttlAfterSuccess": "720h"}, True),
        ({"ttlAfterFailure": "0s"}, True),
        ({"ttlAfterSuccess": "721h"}, False),
        ({"ttlAfterFailure": "1d"}, False),
        ({"successfulRuns": 21}, False),
        ({"failedRuns": -1}, False),
    ],
)
def test_what_the_platform_can_keep_is_bounded(retention, is_accepted):
    try:
        Retention.model_validate(retention)
    except ValidationError:
        assert not is_accepted
    else:
        assert is_accepted


def over(result=SUCCESS, **retention):
    """Return a run that ended, its Job, and the spec."""
    spec = keeping(**retention)
    begun = decided(spec=spec).status
    job = run(job=present(begun.job), uid="uid-1", pod=pod(ended(result.to_json())), finished=True)
    return decided(job, status=begun, spec=spec).status, job, spec


@pytest.mark.parametrize(
    ("result", "retention", "seconds"),
    [
        (SUCCESS, {}, 3600),
        (FAILURE, {}, 3600),
        (SUCCESS, {"ttlAfterSuccess": "2m"}, 120),
        (FAILURE, {"ttlAfterSuccess": "2m"}, 3600),
        (FAILURE, {"ttlAfterSuccess": "2m", "ttlAfterFailure": "48h"}, 48 * 3600),
        (SUCCESS, {"successfulRuns": 0, "ttlAfterSuccess": "2m"}, 0),
        (FAILURE, {"failedRuns": 0}, 0),
        (SUCCESS, {"ttlAfterSuccess": "0s"}, 0),
    ],
)
def test_a_run_is_kept_for_its_outcomes_time(result, retention, seconds):
    status, job, spec = over(result, **retention)
    if seconds:
        early = decided(job, status=status, spec=spec, now=NOW + timedelta(seconds=seconds - 1))
        assert (early.actions, early.requeue_after) == ((), 1)
    late = decided(job, status=status, spec=spec, now=NOW + timedelta(seconds=seconds))
    assert late.actions == (StopRun(job.job, "uid-1"),)
    assert late.status == status, "the result stays"
    assert decided(status=status, spec=spec, now=NOW + timedelta(days=90)).actions == ()


def test_what_goes_on_beside_a_builder_that_ended_has_half_a_minute():
    status, job, spec = over(successfulRuns=0)
    busy = replace(job, finished=False)
    assert decided(busy, status=status, spec=spec, now=NOW + timedelta(seconds=29)).actions == ()
    assert decided(busy, status=status, spec=spec, now=NOW + timedelta(seconds=30)).actions


def next_run(status, *jobs, spec, now=NOW):
    return decide(Observation(build(status, spec=spec, rerun="again"), jobs, None), SETTINGS, now)


def test_without_a_number_a_run_keeps_its_job_until_the_next_one():
    status, job, spec = over(ttlAfterSuccess="2h")
    assert next_run(status, job, spec=spec).actions == (StopRun(job.job, "uid-1"),)


def test_jobs_of_earlier_runs_stay_beside_the_next_run_for_their_time():
    status, job, spec = over(successfulRuns=2, ttlAfterSuccess="2h")
    begun = next_run(status, job, spec=spec)
    (start,) = begun.actions
    assert isinstance(start, StartRun)
    assert (start.number, begun.requeue_after) == (2, 7200)
    late = next_run(begun.status, job, run(job=start.job, number=2), spec=spec, now=NOW + timedelta(hours=2))
    assert late.actions == (StopRun(job.job, "uid-1"),)


def test_a_job_whose_builder_ended_a_moment_ago_is_kept_beside_the_next_run():
    status, job, spec = over(successfulRuns=2)
    ending = replace(job, finished=False)
    begun = next_run(status, ending, spec=spec)
    assert [type(each) for each in begun.actions] == [StartRun]
    assert begun.requeue_after == 30
    going = run(job=present(begun.status.job), number=2)
    late = next_run(begun.status, ending, going, spec=spec, now=NOW + timedelta(seconds=30))
    assert late.actions == (StopRun(job.job, "uid-1"),), "a container that never ends"


def test_of_earlier_jobs_as_many_stay_as_are_asked_for():
    status, first, spec = over(successfulRuns=1)
    begun = next_run(status, first, spec=spec)
    second = run(job=present(begun.status.job), number=2, uid="uid-2", pod=pod(ended(SUCCESS.to_json())))
    done = next_run(begun.status, first, replace(second, finished=True), spec=spec).status
    after = next_run(done, first, replace(second, finished=True), spec=spec)
    assert after.actions == (StopRun(first.job, "uid-1"),)


@pytest.mark.parametrize(
    "changed",
    [{"uid": "forged"}, {"uid": None}, {"finished": False, "pod": pod(Running())}, {"number": 7}],
    ids=["another UID", "without a UID", "goes on", "a run that never was"],
)
def test_no_other_job_is_kept_as_one_of_an_earlier_run(changed):
    status, job, spec = over(successfulRuns=2)
    stray = replace(job, **changed)
    begun = next_run(status, stray, spec=spec)
    assert begun.actions == (StopRun(stray.job, stray.uid),)


def test_a_cancel_leaves_what_is_kept_of_earlier_runs():
    status, job, spec = over(successfulRuns=2)
    begun = next_run(status, job, spec=spec).status
    going = run(job=present(begun.job), number=2, uid="uid-2")
    seen = Observation(build(begun, spec=spec, rerun="again", cancel="now"), (job, going), None)
    assert decide(seen, SETTINGS, NOW).actions == (StopRun(going.job, "uid-2"),)


def test_a_changed_retention_starts_nothing_and_counts_at_once():
    status, job, _ = over(ttlAfterSuccess="2h")
    shorter = keeping(ttlAfterSuccess="1m", successfulRuns=0)
    decision = decide(
        Observation(build(status, generation=2, spec=shorter), (job,), None),
        SETTINGS,
        NOW + timedelta(minutes=1),
    )
    assert decision.actions == (StopRun(job.job, "uid-1"),)
    assert decision.status.history is None
