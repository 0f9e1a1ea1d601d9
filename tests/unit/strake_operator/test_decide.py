"""Every situation that a build can be in, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.reasons import ProgressReason
from strake_api.result import StepCounts
from strake_api.status import Phase
from strake_operator.names import job_name
from strake_operator.reconcile.decide import Decision, StartRun, StopRun, decide, refused
from strake_operator.reconcile.observed import InvalidSpec, Waiting
from strake_operator.reconcile.progress import Progress
from tests.unit.strake_operator.builders import (
    DIGEST,
    FAILURE,
    NOW,
    SETTINGS,
    SUCCESS,
    ended,
    pod,
    reason,
    run,
    seen,
    truths,
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


def test_a_new_build_starts_a_run():
    decision = decided()
    name = job_name("hello", "uid-1", 1, 1)
    assert decision.actions == (StartRun(name, 1, 1),)
    assert truths(decision.status) == UNDER_WAY
    assert (decision.status.observed_generation, decision.status.attempts) == (1, 1)
    assert decision.status.job == name
    assert decision.status.phase is Phase.PENDING


def test_a_build_being_deleted_is_left_alone():
    decision = decided(run(), deleting=True)
    assert decision == Decision(seen().build.status)


def test_a_job_without_a_status_is_adopted():
    decision = decided(run(job="found"))
    assert decision.actions == ()
    assert decision.status.job == "found"
    assert decision.status.phase is Phase.BUILDING


def test_progress_is_shown():
    progress = Progress(Phase.BUILDING, ProgressReason.BUILDING, "[2/3] RUN make", total=3, done=1, cached=1)
    status = decided(run(), status=started(), progress=progress).status
    assert status.progress == "[2/3] RUN make"
    assert (status.steps.total, status.steps.done, status.steps.cached) == (3, 1, 1)
    assert reason(status) == "Building"


def test_progress_that_is_not_known_yet_hides_nothing():
    before = decided(run(), status=started(), progress=Progress(Phase.BUILDING, text="[2/3] RUN make")).status
    assert decided(run(), status=before).status.progress == "[2/3] RUN make"


def test_success():
    status = succeeded()
    assert truths(status) == SUCCEEDED
    assert status.image == f"r.example:5000/app@{DIGEST}"
    assert status.images == (f"r.example:5000/app@{DIGEST}", f"r.example/copy@{DIGEST}")
    assert (status.steps.total, status.steps.done, status.steps.cached) == (4, 4, 3)
    assert status.platforms[0].platform == "linux/amd64"
    assert (status.duration, status.failure, status.progress) == ("0s", None, None)


def test_instructions_without_work_are_done_too():
    result = SUCCESS.model_copy(update={"steps": StepCounts(total=9, run=2, cached=1)})
    status = decided(run(pod=pod(ended(result.to_json(), exit_code=0))), status=started()).status
    assert (status.steps.total, status.steps.done, status.steps.cached) == (9, 9, 1)


def test_a_finished_generation_is_left_alone():
    status = succeeded()
    for runs in ((), (run(),), (run(finished=True),)):
        decision = decide(seen(*runs, status=status), SETTINGS, LATER)
        assert decision == Decision(status)


def test_a_failing_step_is_final():
    decision = decided(run(pod=pod(ended(FAILURE.to_json()))), status=started())
    assert decision.actions == ()
    assert truths(decision.status) == FAILED
    failure = decision.status.failure
    assert (failure.reason, failure.line, failure.exit_code) == ("RunStepFailed", 3, 2)
    assert failure.log_tail == "one\ntwo"


def test_an_eviction_is_tried_again_and_then_given_up():
    status = started()
    for attempt in (1, 2):
        evicted = run(job=f"job-{attempt}", attempt=attempt, pod=pod(phase="Failed", disrupted="drain"))
        decision = decided(evicted, status=status)
        status = decision.status
        name = job_name("hello", "uid-1", 1, attempt + 1)
        assert decision.actions == (StopRun(f"job-{attempt}"), StartRun(name, 1, attempt + 1))
        assert truths(status) == UNDER_WAY
    last = decided(run(attempt=3, pod=pod(phase="Failed", disrupted="drain")), status=status)
    assert last.actions == ()
    assert last.status.failure.reason == "Evicted"


def test_an_old_attempt_that_lingers_does_not_count():
    status = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started()).status
    both = decided(run(deleting=True), run(job="second", attempt=2), status=status)
    assert both.status.job == "second"
    assert both.status.phase is Phase.BUILDING


def test_a_deleted_job_is_a_cancelled_build():
    decision = decided(status=started())
    assert truths(decision.status) == FAILED
    assert decision.status.failure.reason == "Cancelled"
    assert decision.status.job is None


@pytest.mark.parametrize(
    "dying",
    [run(deleting=True), run(deleting=True, failure="Failed", pod=None)],
    ids=["pod runs", "pod gone"],
)
def test_a_job_that_somebody_deletes_is_waited_for(dying):
    decision = decided(dying, status=started())
    assert truths(decision.status) == UNDER_WAY
    assert decision.look_again


def test_a_changed_spec_stops_the_old_run_first():
    old = run(job="old")
    decision = decided(old, status=started(), generation=2)
    assert decision.actions == (StopRun("old"),)
    assert decision.look_again
    assert decision.status.observed_generation == 2

    waiting = decided(replace(old, deleting=True), status=decision.status, generation=2)
    assert waiting.actions == ()

    gone = decided(status=waiting.status, generation=2)
    assert gone.actions == (StartRun(job_name("hello", "uid-1", 2, 1), 2, 1),)


def test_a_new_generation_remembers_the_last_and_keeps_its_image():
    status = decided(status=succeeded(), generation=2).status
    assert truths(status) == UNDER_WAY
    assert status.image == f"r.example:5000/app@{DIGEST}"
    (last,) = status.history
    assert (last.generation, last.phase, last.reason, last.digest) == (1, Phase.SUCCEEDED, "Pushed", DIGEST)
    assert (status.completion_time, status.duration, status.steps) == (None, None, None)


def test_history_is_short():
    status = succeeded()
    for generation in range(2, 10):
        status = decided(status=status, generation=generation).status
        job = run(generation=generation, pod=pod(ended(FAILURE.to_json())))
        status = decided(job, status=status, generation=generation).status
    assert [entry.generation for entry in status.history] == [8, 7, 6, 5, 4]
    assert status.history[0].reason == "RunStepFailed"


def test_a_spec_that_cannot_be_read_is_refused():
    decision = decided(spec=InvalidSpec("spec.source: nothing"))
    assert truths(decision.status) == FAILED
    assert decision.status.failure.reason == "InvalidRequest"
    assert "spec.source" in decision.status.failure.message


MISSING = 'MountVolume.SetUp failed for volume "push" : secret "registry-push" not found'


def test_a_missing_secret_gets_some_time_to_appear():
    waiting = run(pod=pod(Waiting("ContainerCreating", "")), problems=(MISSING,))
    decision = decided(waiting, status=started())
    assert truths(decision.status) == UNDER_WAY
    assert reason(decision.status) == "SecretNotFound"
    assert 0 < decision.look_again <= SETTINGS.grace_seconds + 1


def test_a_secret_that_stays_missing_fails_the_build_and_stops_the_pod():
    waiting = run(job="stuck", pod=pod(Waiting("ContainerCreating", "")), problems=(MISSING,))
    decision = decided(waiting, status=started(), now=LATER)
    assert truths(decision.status) == FAILED
    assert decision.actions == (StopRun("stuck"),)
    assert 'Secret "registry-push" does not exist' in decision.status.failure.message
    assert "create it" in decision.status.failure.message


def test_a_secret_that_appeared_is_not_held_against_the_build():
    decision = decided(run(problems=(MISSING,)), status=started(), now=LATER)
    assert decision.status.phase is Phase.BUILDING


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (run(pod=None, suspended=True), "Suspended"),
        (run(pod=None, problems=('pods "x" is forbidden: exceeded quota: q',)), "QuotaExceeded"),
        (run(pod=None), "PodPending"),
        (run(pod=pod(None, unschedulable="0/3 nodes")), "PodPending"),
    ],
    ids=["suspended", "quota", "no pod", "no node"],
)
def test_what_waits_says_why(job, expected):
    status = decided(job, status=started()).status
    assert reason(status) == expected
    assert truths(status) == UNDER_WAY


def test_conditions_keep_the_time_of_their_change():
    first = started()
    later = decide(seen(run(), status=first), SETTINGS, LATER).status
    assert {c.last_transition_time for c in later.conditions} == {"2026-11-22T12:00:00Z"}
    assert {c.observed_generation for c in later.conditions} == {1}


def test_a_refusal_of_the_cluster_is_final():
    decision = refused(seen(), started(), "creating Job: spec.resources: invalid quantity", NOW)
    assert decision.status.failure.reason == "InvalidRequest"
    assert truths(decision.status) == FAILED


def test_a_refusal_for_quota_is_tried_again():
    decision = refused(seen(), started(), "configmaps is forbidden: exceeded quota: few", NOW)
    assert decision.look_again
    assert truths(decision.status) == UNDER_WAY
    assert not decision.status.attempts


def test_a_refusal_by_policy_says_so():
    decision = refused(seen(), started(), 'admission webhook "x" denied the request: no', NOW)
    assert decision.status.failure.reason == "PolicyDenied"
