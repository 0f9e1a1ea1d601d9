"""Which failures start a run again, how often, and what of it can be seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StartRun, StopRun
from strake_operator.reconcile.observed import Observation, Waiting
from strake_operator.reconcile.retries import REMEMBERED
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import NOW, SETTINGS, SPEC, build, ended, pod, reason, run
from tests.unit.strake_operator.reconcile.decisions import LATER, decided, started

TWICE = SPEC.model_copy(update={"retries": 2})
PULLED = pod(Waiting("ImagePullBackOff", "Back-off pulling image strake/builder:test"))


def failing(cause: FailureReason, *, temporary: bool = True, **changes):
    result = BuildFailed(reason=cause, message="the registry answered with 503", temporary=temporary)
    return run(job="hello-1", uid="uid-job", pod=pod(ended(result.to_json())), **changes)


def of_pull(**changes):
    return run(job="hello-1", uid="uid-job", pod=PULLED, **changes)


def blocked():
    return decided(of_pull(), status=started(), spec=TWICE).status


@pytest.mark.parametrize(
    "cause",
    ["BaseImagePullFailed", "PushFailed", "SourceFetchFailed", "SigningFailed", "StepFailed"],
)
def test_a_server_in_trouble_costs_an_attempt(cause):
    decision = decided(failing(FailureReason(cause)), status=started(), spec=TWICE)
    assert decision.actions == (StopRun("hello-1", "uid-job"),)
    assert decision.status_first
    assert (decision.requeue_after, decision.status.job) == (10, None)
    (noted,) = present(decision.status.retries)
    assert (noted.attempt, noted.reason) == (1, cause)
    assert "503" in noted.message
    again = decided(status=decision.status, spec=TWICE, now=NOW + timedelta(seconds=10))
    (start,) = again.actions
    assert isinstance(start, StartRun)
    assert (start.number, start.attempt) == (1, 2)
    assert "503" in present(again.status.progress)


@pytest.mark.parametrize("cause", list(FailureReason))
def test_a_build_that_is_to_blame_is_never_tried_again(cause):
    decision = decided(failing(cause, temporary=False), status=started(), spec=TWICE)
    assert decision.status.retries is None or cause is FailureReason.EVICTED


@pytest.mark.parametrize(
    "cause",
    ["RunStepFailed", "DockerfileInvalid", "PushUnauthorized", "PolicyDenied", "TimedOut", "OutOfMemory",
     "InvalidRequest", "Unsupported"],
)  # fmt: skip
def test_a_forged_result_gets_no_attempt_for_what_no_server_does(cause):
    decision = decided(failing(FailureReason(cause)), status=started(), spec=TWICE)
    assert present(decision.status.failure).reason == cause


def test_without_retries_a_server_in_trouble_fails_the_build():
    decision = decided(failing(FailureReason.PUSH_FAILED), status=started())
    assert present(decision.status.failure).reason == "PushFailed"


@pytest.mark.parametrize(
    ("retries", "attempts"), [(0, 3), (1, 3), (5, 6)], ids=["the platform's", "fewer", "more"]
)
def test_pods_that_were_taken_away_get_the_platforms_attempts_or_more(retries, attempts):
    spec, status, now = SPEC.model_copy(update={"retries": retries}), started(), NOW
    for attempt in range(1, attempts):
        evicted = run(attempt=attempt, pod=pod(phase="Failed", disrupted="drain"))
        status = decided(evicted, status=status, spec=spec, now=now).status
        now += timedelta(minutes=10)
        status = decided(status=status, spec=spec, now=now).status
        assert status.attempts == attempt + 1
    last = run(attempt=attempts, pod=pod(phase="Failed", disrupted="drain"))
    failed = decided(last, status=status, spec=spec, now=now).status
    assert present(failed.failure).reason == "Evicted"
    (entry,) = present(failed.history)
    assert [each.attempt for each in present(entry.retries)] == list(range(1, attempts))


def test_one_counter_has_the_attempts_of_all_causes():
    status = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started(), spec=TWICE).status
    status = decided(status=status, spec=TWICE, now=LATER).status
    status = decided(
        failing(FailureReason.PUSH_FAILED, attempt=2), status=status, spec=TWICE, now=LATER
    ).status
    status = decided(status=status, spec=TWICE, now=LATER + timedelta(minutes=1)).status
    last = decided(failing(FailureReason.PUSH_FAILED, attempt=3), status=status, spec=TWICE, now=LATER).status
    assert present(last.failure).reason == "PushFailed"
    assert [each.reason for each in present(last.retries)] == ["Evicted", "PushFailed"]


def test_a_builder_image_that_cannot_be_pulled_costs_an_attempt_after_the_grace():
    early = decided(of_pull(), status=started(), spec=TWICE)
    assert early.actions == ()
    late = decided(of_pull(), status=early.status, spec=TWICE, now=LATER)
    assert late.actions == (StopRun("hello-1", "uid-job"),)
    assert present(late.status.retries)[0].reason == "InternalError"
    never = decided(of_pull(), status=blocked(), now=LATER)
    assert present(never.status.failure).reason == "InternalError"


def test_an_image_name_that_is_none_is_not_tried_again():
    broken = run(pod=pod(Waiting("InvalidImageName", "no such form")))
    waiting = decided(broken, status=started(), spec=TWICE).status
    assert present(decided(broken, status=waiting, spec=TWICE, now=LATER).status.failure).message


@pytest.mark.parametrize("word", ["ContainerStatusUnknown", "Unknown"])
def test_a_container_that_was_gone_when_its_node_came_back_was_taken_away(word):
    lost = run(pod=pod(ended("", exit_code=137, reason=word)), finished=True, failure="Failed")
    assert present(decided(lost, status=started()).status.retries)[0].reason == "Evicted"


def test_a_cancel_ends_the_retries():
    waiting = decided(failing(FailureReason.PUSH_FAILED), status=started(), spec=TWICE).status
    for jobs in ((failing(FailureReason.PUSH_FAILED, deleting=True),), ()):
        over = decided(*jobs, status=waiting, spec=TWICE, cancel="now")
        assert present(over.status.failure).reason == "Cancelled"
        assert over.status.next_attempt_time is None
        after = decided(status=over.status, spec=TWICE, cancel="now", now=LATER)
        assert after.actions == ()


def test_a_suspension_stops_the_retries_until_it_ends():
    waiting = decided(failing(FailureReason.PUSH_FAILED), status=started(), spec=TWICE).status
    spec = TWICE.model_copy(update={"suspend": True})
    held = decided(status=waiting, spec=spec, now=LATER)
    assert held.actions == ()
    assert reason(held.status) == "Suspended"
    again = decided(status=held.status, spec=TWICE, now=LATER)
    assert [each.attempt for each in again.actions if isinstance(each, StartRun)] == [2]
    assert present(again.status.progress).startswith("starting again after 10 s: ")


def test_a_changed_number_of_retries_starts_nothing():
    over = decided(failing(FailureReason.PUSH_FAILED), status=started()).status
    later = build(over, generation=2, spec=TWICE)
    assert decide(Observation(later, (), None), SETTINGS, LATER).actions == ()


def test_the_status_tells_of_the_latest_attempts():
    settings, status, now = replace(SETTINGS, attempts=50), started(), NOW
    for attempt in range(1, 30):
        evicted = run(attempt=attempt, pod=pod(phase="Failed", disrupted="x" * 5000))
        status = decide(Observation(build(status), (evicted,), None), settings, now).status
        now += timedelta(minutes=10)
        status = decide(Observation(build(status), (), None), settings, now).status
    kept = present(status.retries)
    assert [each.attempt for each in kept] == list(range(30 - REMEMBERED, 30))
    assert all(len(each.message) <= 300 for each in kept)
