"""Every situation that a build can be in, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.reasons import ProgressReason
from strake_api.result import Sizes, StepCounts
from strake_api.status import ImageSizes, Phase
from strake_operator.names import job_name
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import Decision, StartRun, StopRun
from strake_operator.reconcile.limits import retry_delay
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.reconcile.progress import Progress
from tests.fixtures.narrow import present
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
from tests.unit.strake_operator.reconcile.decisions import (
    FAILED,
    LATER,
    SUCCEEDED,
    UNDER_WAY,
    decided,
    started,
    succeeded,
)


def test_a_new_build_starts_a_run():
    decision = decided()
    name = job_name("hello", "uid-1", 1, 1)
    assert decision.actions == (StartRun(name, 1, 1),)
    assert truths(decision.status) == UNDER_WAY
    assert (decision.status.observed_generation, decision.status.attempts) == (1, 1)
    assert decision.status.job == name
    assert decision.status.phase is Phase.PENDING


def test_a_build_being_deleted_is_stopped_whoever_still_holds_it():
    decision = decided(run(job="a"), deleting=True)
    assert decision.status == seen().build.status
    assert decision.actions == (StopRun("a"),)
    assert decided(deleting=True) == Decision(seen().build.status)


def test_a_job_without_a_status_is_adopted():
    decision = decided(run(job="found"))
    assert decision.actions == ()
    assert decision.status.job == "found"
    assert decision.status.phase is Phase.BUILDING


def test_progress_is_shown():
    progress = Progress(Phase.BUILDING, ProgressReason.BUILDING, "[2/3] RUN make", total=3, done=1, cached=1)
    status = decided(run(), status=started(), progress=progress).status
    assert status.progress == "[2/3] RUN make"
    assert (present(status.steps).total, present(status.steps).done, present(status.steps).cached) == (
        3,
        1,
        1,
    )
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
    assert (present(status.steps).total, present(status.steps).done, present(status.steps).cached) == (
        9,
        9,
        1,
    )


def test_a_finished_generation_is_left_alone():
    status = succeeded()
    assert decide(seen(status=status), SETTINGS, LATER) == Decision(status)
    decision = decide(seen(run(finished=True), status=status), SETTINGS, LATER)
    assert (decision.status, decision.actions) == (status, ())
    assert decision.requeue_after == SETTINGS.keep_seconds - 300


def test_a_failing_step_is_final():
    decision = decided(run(pod=pod(ended(FAILURE.to_json()))), status=started())
    assert decision.actions == ()
    assert truths(decision.status) == FAILED
    failure = decision.status.failure
    assert (present(failure).reason, present(failure).line, present(failure).exit_code) == (
        "RunStepFailed",
        3,
        2,
    )
    assert present(failure).log_tail == "one\ntwo"


def test_an_eviction_is_tried_again_and_then_given_up():
    status, now = started(), NOW
    for attempt, seconds in ((1, 10), (2, 20)):
        evicted = run(job=f"job-{attempt}", attempt=attempt, pod=pod(phase="Failed", disrupted="drain"))
        decision = decided(evicted, status=status, now=now)
        assert decision.actions == (StopRun(f"job-{attempt}"),)
        assert decision.status_first
        assert decision.requeue_after == seconds
        # The operator may be killed before, between and after the two: each time the same comes next.
        for left in ((evicted,), (replace(evicted, deleting=True),), ()):
            stops = tuple(StopRun(each.job) for each in left if not each.deleting)
            early = decided(*left, status=decision.status, now=now + timedelta(seconds=seconds - 1))
            assert (early.actions, early.requeue_after, early.status) == (stops, 1, decision.status)
            again = decided(*left, status=decision.status, now=now + timedelta(seconds=seconds))
            start = StartRun(job_name("hello", "uid-1", 1, attempt + 1), 1, attempt + 1)
            assert again.actions == (*stops, start)
            assert truths(again.status) == UNDER_WAY
            assert present(again.status.progress).startswith(f"starting again after {seconds} s: ")
            assert again.status.next_attempt_time is None
        status, now = again.status, now + timedelta(seconds=seconds)
    last = decided(run(attempt=3, pod=pod(phase="Failed", disrupted="drain")), status=status, now=now)
    assert last.actions == ()
    assert present(last.status.failure).reason == "Evicted"


def test_delays_between_attempts_grow_and_end_growing():
    seconds = [retry_delay(attempt).total_seconds() for attempt in (1, 2, 3, 5, 6, 7, 1000)]
    assert seconds == [10, 20, 40, 160, 300, 300, 300]


def test_a_changed_spec_does_not_wait_for_the_next_attempt():
    waiting = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started()).status
    assert waiting.next_attempt_time is not None
    fresh = decided(status=waiting, generation=2)
    assert isinstance(fresh.actions[0], StartRun)
    assert fresh.status.next_attempt_time is None


def test_the_next_attempt_is_adopted_by_an_operator_that_did_not_see_its_start():
    waiting = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started()).status
    adopted = decided(run(job="second", attempt=2), status=waiting).status
    assert (adopted.job, adopted.attempts, adopted.next_attempt_time) == ("second", 2, None)


def test_an_old_attempt_that_lingers_does_not_count():
    status = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started()).status
    status = decided(status=status, now=NOW + timedelta(seconds=10)).status
    both = decided(run(deleting=True), run(job="second", attempt=2), status=status)
    assert both.status.job == "second"
    assert both.status.phase is Phase.BUILDING


def test_a_deleted_job_is_a_cancelled_build():
    decision = decided(status=started())
    assert truths(decision.status) == FAILED
    assert present(decision.status.failure).reason == "Cancelled"
    assert decision.status.job is None


@pytest.mark.parametrize(
    "dying",
    [run(deleting=True), run(deleting=True, failure="Failed", pod=None)],
    ids=["pod runs", "pod gone"],
)
def test_a_job_that_somebody_deletes_is_waited_for(dying):
    decision = decided(dying, status=started())
    assert truths(decision.status) == UNDER_WAY
    assert decision.requeue_after


def test_a_changed_spec_stops_the_old_run_first():
    old = run(job="old")
    decision = decided(old, status=started(), generation=2)
    assert decision.actions == (StopRun("old"),)
    assert decision.requeue_after
    assert decision.status.observed_generation == 2

    waiting = decided(replace(old, deleting=True), status=decision.status, generation=2)
    assert waiting.actions == ()

    gone = decided(status=waiting.status, generation=2)
    assert gone.actions == (StartRun(job_name("hello", "uid-1", 2, 1), 2, 1),)


def test_a_new_generation_remembers_the_last_and_keeps_its_image():
    status = decided(status=succeeded(), generation=2).status
    assert truths(status) == UNDER_WAY
    assert status.image == f"r.example:5000/app@{DIGEST}"
    (last,) = present(status.history)
    assert (last.generation, last.phase, last.reason, last.digest) == (1, Phase.SUCCEEDED, "Pushed", DIGEST)
    assert (status.completion_time, status.duration, status.steps) == (None, None, None)


def test_history_is_short():
    status = succeeded()
    for generation in range(2, 10):
        status = decided(status=status, generation=generation).status
        job = run(number=generation, pod=pod(ended(FAILURE.to_json())))
        status = decided(job, status=status, generation=generation).status
    assert [entry.generation for entry in status.history] == [9, 8, 7, 6, 5]
    assert status.history[0].reason == "RunStepFailed"


def test_a_spec_that_cannot_be_read_is_refused():
    decision = decided(spec=InvalidSpec("spec.source: nothing"))
    assert truths(decision.status) == FAILED
    assert present(decision.status.failure).reason == "InvalidRequest"
    assert "spec.source" in present(decision.status.failure).message


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (Sizes(compressed=9, pulled=5, pushed=3), ImageSizes(compressed=9, pulled=5, pushed=3)),
        (Sizes(compressed=9, pulled=2**63 - 1), None),
    ],
    ids=["a builder's", "what no build can have moved"],
)
def test_sizes_of_a_result_are_reported(told, kept):
    result = SUCCESS.model_copy(update={"sizes": told})
    status = decided(run(pod=pod(ended(result.to_json(), exit_code=0))), status=started()).status
    assert status.phase == "Succeeded"
    assert status.sizes == kept
