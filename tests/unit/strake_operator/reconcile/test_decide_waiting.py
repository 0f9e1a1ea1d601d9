"""A run that does not start: what is waited for, how long, and in whose words."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.status import Phase
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StopRun
from strake_operator.reconcile.observed import Awaited, Waiting
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import (
    NOW,
    SETTINGS,
    SPEC,
    pod,
    problem,
    reason,
    run,
    seen,
    truths,
)
from tests.unit.strake_operator.reconcile.decisions import (
    FAILED,
    LATER,
    UNDER_WAY,
    decided,
    started,
)

QUOTA = problem('pods "x" is forbidden: exceeded quota: q', reason="FailedCreate")
MISSING = 'MountVolume.SetUp failed for volume "push" : secret "registry-push" not found'


def test_a_missing_secret_gets_some_time_to_appear():
    waiting = run(pod=pod(Waiting("ContainerCreating", "")), problems=(problem(MISSING),))
    decision = decided(waiting, status=started())
    assert truths(decision.status) == UNDER_WAY
    assert reason(decision.status) == "SecretNotFound"
    assert 0 < present(decision.requeue_after) <= SETTINGS.grace_seconds + 1


def test_a_secret_that_stays_missing_fails_the_build_and_stops_the_pod():
    waiting = run(job="stuck", pod=pod(Waiting("ContainerCreating", "")), problems=(problem(MISSING),))
    decision = decided(waiting, status=blocked_status(waiting), now=LATER)
    assert truths(decision.status) == FAILED
    assert decision.actions == (StopRun("stuck"),)
    assert decision.status_first
    assert 'Secret "registry-push" does not exist' in present(decision.status.failure).message
    assert "create it" in present(decision.status.failure).message


def test_a_secret_that_appeared_is_not_held_against_the_build():
    decision = decided(run(problems=(problem(MISSING),)), status=started(), now=LATER)
    assert decision.status.phase is Phase.BUILDING


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (run(pod=None, suspended=True), "Suspended"),
        (run(pod=None, problems=(QUOTA,)), "QuotaExceeded"),
        (run(pod=None), "PodPending"),
        (run(pod=pod(None, unschedulable="0/3 nodes")), "PodPending"),
    ],
    ids=["suspended", "quota", "no pod", "no node"],
)
def test_what_waits_says_why(job, expected):
    status = decided(job, status=started()).status
    assert reason(status) == expected
    assert truths(status) == UNDER_WAY


def test_a_job_that_a_queue_suspends_is_queued_and_goes_on_when_it_is_let_go():
    spec = SPEC.model_copy(update={"queue_timeout": "10m"})
    held = decided(run(pod=None, suspended=True), status=started(), spec=spec)
    assert (held.status.phase, held.requeue_after, held.actions) == (Phase.QUEUED, 600, ())
    later = NOW + timedelta(minutes=9)
    again = decided(run(pod=None, suspended=True), status=held.status, spec=spec, now=later)
    assert (again.status.phase, again.requeue_after) == (Phase.QUEUED, 60)
    resumed = decided(run(pod=None), status=again.status, spec=spec, now=later)
    assert (resumed.status.phase, reason(resumed.status)) == (Phase.PENDING, "PodPending")
    # Kueue took its room away again: it waits anew.
    anew = decided(run(pod=None, suspended=True), status=resumed.status, spec=spec, now=later)
    assert anew.requeue_after == 600


def test_a_job_that_stays_suspended_fails_after_queue_timeout():
    spec = SPEC.model_copy(update={"queue_timeout": "10m"})
    job = run(job="held", pod=None, suspended=True)
    held = decided(job, status=started(), spec=spec)
    late = decided(job, status=held.status, spec=spec, now=NOW + timedelta(minutes=10))
    assert truths(late.status) == FAILED
    assert reason(late.status) == "QueueTimeout"
    assert late.status_first
    assert [each.job for each in late.actions if isinstance(each, StopRun)] == ["held"]


def test_a_source_that_an_init_container_fetches_is_shown():
    fetches = run(pod=pod(Waiting("PodInitializing", ""), fetching=True))
    assert decided(fetches, status=started()).status.progress == "the builder pod fetches the source"


def test_a_container_that_was_added_and_does_not_end_is_named():
    waiting = run(pod=pod(Waiting("PodInitializing", ""), awaited=Awaited("rules", "end")))
    progress = present(decided(waiting, status=started()).status.progress)
    assert "it waits for container rules, which a rule of the cluster added to the pod, to end" in progress


def test_a_sidecar_that_was_added_and_does_not_start_is_named_with_its_probes_words():
    words = "Startup probe failed: dial tcp 10.0.0.1:15021: connect: connection refused"
    waits = run(
        pod=pod(Waiting("PodInitializing", ""), awaited=Awaited("proxy", "start")), problems=(problem(words),)
    )
    progress = present(decided(waits, status=started()).status.progress)
    assert progress == (
        "the builder pod starts: it waits for container proxy, which a rule of the cluster added to the pod, to "
        f"start: {words}"
    )


def test_conditions_keep_the_time_of_their_change():
    first = started()
    later = decide(seen(run(), status=first), SETTINGS, LATER).status
    assert {c.last_transition_time for c in later.conditions} == {"2026-11-22T12:00:00Z"}
    assert {c.observed_generation for c in later.conditions} == {1}


def blocked_status(waiting):
    """The status after the first look at a run that cannot start."""
    return decided(waiting, status=started()).status


def test_the_grace_counts_from_when_the_problem_was_first_seen():
    late = run(created=NOW - timedelta(minutes=10), pod=pod(Waiting("ErrImagePull", "pull QPS exceeded")))
    first = decided(late, status=started())
    assert truths(first.status) == UNDER_WAY
    assert "pull QPS exceeded" in present(first.status.progress)
    before = decide(seen(late, status=first.status), SETTINGS, NOW + timedelta(seconds=29))
    assert truths(before.status) == UNDER_WAY
    after = decide(seen(late, status=before.status), SETTINGS, NOW + timedelta(seconds=30))
    assert truths(after.status) == FAILED


def test_another_problem_gets_a_grace_of_its_own():
    status = blocked_status(run(pod=pod(Waiting("ErrImagePull", "rate limit"))))
    other = run(pod=pod(Waiting("CreateContainerError", "context deadline exceeded")))
    assert truths(decided(other, status=status, now=LATER).status) == UNDER_WAY


def test_a_secret_that_was_missing_before_the_grace_was_over_may_be_there_since():
    old = problem(MISSING, last=NOW + timedelta(seconds=15))
    waiting = run(pod=pod(Waiting("ContainerCreating", "")), problems=(old,))
    status = blocked_status(waiting)
    moment = NOW + timedelta(seconds=31)
    assert truths(decide(seen(waiting, status=status), SETTINGS, moment).status) == UNDER_WAY
    fresh = replace(waiting, problems=(replace(old, last=moment),))
    assert truths(decide(seen(fresh, status=status), SETTINGS, moment).status) == FAILED


def test_a_broken_webhook_is_waited_for_and_its_words_are_shown():
    words = 'Error creating: Internal error occurred: failed calling webhook "w"'
    waiting = run(pod=None, problems=(problem(words, reason="FailedCreate"),))
    decision = decided(waiting, status=blocked_status(waiting), now=LATER)
    assert truths(decision.status) == UNDER_WAY
    assert reason(decision.status) == "ClusterUnavailable"
    assert "failed calling webhook" in present(decision.status.progress)


def test_nothing_that_waits_is_looked_at_before_its_time():
    for waiting in (run(pod=None), run(pod=None, problems=(QUOTA,)), run(pod=pod(None, unschedulable="0/1"))):
        assert present(decided(waiting, status=started()).requeue_after) > 600
