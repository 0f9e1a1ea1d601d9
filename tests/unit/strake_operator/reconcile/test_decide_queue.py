"""A run that waits for its turn: what it shows, and how long it waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.status import Phase
from strake_operator.reconcile.admission.admit import Admission
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StartRun
from strake_operator.reconcile.ends.refusal import refused
from strake_operator.reconcile.runs import begin
from strake_operator.reconcile.starting import may_start, waiting
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import NOW, SETTINGS, SPEC, build, pod, reason, run, seen, truths
from tests.unit.strake_operator.reconcile.decisions import FAILED, UNDER_WAY, decided, started, succeeded

FULL = Admission(admitted=False, position=7, limit="ClusterLimit", words="2 of 2 runs of the cluster go on")
PATIENT = SPEC.model_copy(update={"queue_timeout": "10m"})
QUOTA = 'creating Job: jobs.batch "x" is forbidden: exceeded quota: q'


def queued(*runs, status=None, now=NOW, admission=FULL, **changes):
    return decide(replace(seen(*runs, status=status, **changes), admission=admission), SETTINGS, now)


def after(**moments):
    return NOW + timedelta(**moments)


def test_a_run_without_a_place_waits_and_says_why():
    decision = queued()
    assert decision.actions == ()
    status = decision.status
    assert (status.phase, reason(status), truths(status)) == (Phase.QUEUED, "Queued", UNDER_WAY)
    assert status.progress == "waits for its turn: 2 of 2 runs of the cluster go on"
    assert present(status.queue).model_dump() == {
        "position": 7, "since": "2026-11-22T12:00:00Z", "reason": "ClusterLimit",
    }  # fmt: skip
    assert status.start_time is None
    later = queued(status=status, now=after(minutes=3))
    assert present(later.status.queue).since == "2026-11-22T12:00:00Z"


def test_its_time_to_run_begins_with_its_start():
    before = queued().status
    begun = queued(status=before, now=after(hours=2), admission=Admission())
    assert isinstance(begun.actions[0], StartRun)
    assert begun.status.queue is None
    assert begun.status.start_time == "2026-11-22T14:00:00Z"


@pytest.mark.parametrize(("position", "seconds"), [(1, 15), (7, 15), (100, 200)])
def test_who_waits_far_behind_is_looked_at_less_often(position, seconds):
    assert queued(admission=replace(FULL, position=position)).requeue_after == seconds


def test_a_wait_that_is_too_long_ends_the_run():
    first = queued(spec=PATIENT)
    assert queued(spec=PATIENT, status=first.status, now=after(minutes=9, seconds=50)).requeue_after == 10
    late = queued(spec=PATIENT, status=first.status, now=after(minutes=10))
    assert truths(late.status) == FAILED
    failure = present(late.status.failure)
    assert failure.reason == "QueueTimeout"
    assert failure.message.startswith(
        "waited for 10m, which is spec.queueTimeout: waits for its turn: 2 of 2"
    )
    assert late.status.queue is None
    assert present(late.status.history)[0].reason == "QueueTimeout"


def test_the_time_of_a_run_is_no_time_of_the_queue():
    begun = queued(spec=PATIENT, admission=Admission()).status
    assert truths(queued(run(), spec=PATIENT, status=begun, now=after(minutes=11)).status) == UNDER_WAY


def test_a_suspended_build_does_not_wait_in_the_queue():
    first = queued(spec=PATIENT)
    suspended = PATIENT.model_copy(update={"suspend": True})
    second = queued(spec=suspended, status=first.status, generation=2)
    assert (reason(second.status), second.status.queue) == ("Suspended", None)
    third = queued(spec=PATIENT, status=second.status, generation=3, now=after(hours=1))
    assert present(third.status.queue).since == "2026-11-22T13:00:00Z"


def test_a_cancelled_run_waits_no_more():
    decision = queued(status=queued().status, cancel="x")
    assert (reason(decision.status), decision.status.queue) == ("Cancelled", None)


def test_an_attempt_that_starts_again_waits_for_a_slot_before_later_runs():
    evicted = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started()).status
    decision = queued(status=evicted, now=after(seconds=10))
    assert (decision.actions, decision.status.phase) == ((), Phase.QUEUED)
    assert waiting(build(decision.status), after(hours=1)).since == NOW
    assert isinstance(
        queued(status=decision.status, now=after(hours=1), admission=Admission()).actions[0], StartRun
    )


def test_a_run_that_goes_on_needs_no_slot():
    assert queued(run(), status=started()).status.phase is Phase.BUILDING
    for known, runs, expected in (
        (started(), (run(),), False),
        (succeeded(), (), False),
        (queued().status, (), True),
        (None, (), True),
    ):
        assert may_start(build(known), runs) == expected
    assert may_start(build(succeeded(), rerun="1"), ())


@pytest.mark.parametrize("spec", [SPEC, PATIENT])
def test_a_quota_without_room_is_tried_again(spec):
    observation = replace(seen(spec=spec), admission=Admission())
    decision = refused(observation, (), QUOTA, SETTINGS, NOW, forbidden=True)
    assert (reason(decision.status), decision.requeue_after) == ("QuotaExceeded", 30)
    assert "exceeded quota: q" in present(decision.status.progress)
    assert present(decision.status.queue).reason == "Quota"


def test_a_quota_without_room_is_waited_for_as_long_as_for_a_turn():
    observation = replace(seen(spec=PATIENT), admission=Admission())
    status = refused(observation, (), QUOTA, SETTINGS, NOW, forbidden=True).status
    late = queued(spec=PATIENT, status=status, now=after(minutes=10), admission=Admission())
    assert present(late.status.failure).reason == "QueueTimeout"
    assert "exceeded quota: q" in present(late.status.failure).message


def test_when_it_starts_says_nothing_of_what_is_built():
    status = succeeded()
    for generation, changes in ((2, {"priority": 5}), (3, {"queue_timeout": "1h"})):
        spec = SPEC.model_copy(update=changes)
        status = begin(build(status, spec=spec, generation=generation), NOW)
        assert status.phase is Phase.SUCCEEDED
    assert waiting(build(spec=SPEC.model_copy(update={"priority": 5})), NOW).priority == 5
