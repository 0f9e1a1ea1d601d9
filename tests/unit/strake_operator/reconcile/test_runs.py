"""What starts a run and what ends one: changed specs, annotations, suspend; each asks once."""

from __future__ import annotations

import pytest

from strake_api.status import CurrentRun, HandledRequests, ImageBuildStatus, Phase
from strake_operator.names import job_name
from strake_operator.reconcile.decision import StartRun, StopRun
from strake_operator.reconcile.observed import InvalidSpec
from strake_operator.reconcile.origin import sort_out
from strake_operator.reconcile.runs import kept_value, number_of, spec_digest
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import (
    DIGEST,
    FAILURE,
    SPEC,
    SUCCESS,
    build,
    ended,
    pod,
    reason,
    run,
    spec_of,
    truths,
)
from tests.unit.strake_operator.reconcile.decisions import (
    FAILED,
    SUCCEEDED,
    UNDER_WAY,
    decided,
    started,
    succeeded,
)

SUSPENDED = SPEC.model_copy(update={"suspend": True})


def failed():
    return decided(run(pod=pod(ended(FAILURE.to_json()))), status=started()).status


def starts(decision):
    return [each.job for each in decision.actions if isinstance(each, StartRun)]


def stops(decision):
    return [each.job for each in decision.actions if isinstance(each, StopRun)]


@pytest.mark.parametrize("before", [succeeded, failed])
def test_a_new_value_starts_a_run_once(before):
    again = decided(status=before(), rerun="1", rerun_by="kubectl-annotate")
    assert starts(again) == [job_name("hello", "uid-1", 2, 1)]
    now = present(again.status.run)
    assert (now.number, now.generation, now.trigger, now.requested_by) == (2, 1, "Rerun", "kubectl-annotate")
    assert truths(again.status) == UNDER_WAY
    done = decided(
        run(number=2, pod=pod(ended(SUCCESS.to_json(), exit_code=0))), status=again.status, rerun="1"
    )
    assert truths(done.status) == SUCCEEDED
    for rerun in ("1", None):
        assert starts(decided(status=done.status, rerun=rerun)) == []
    # Taken away and set again to the same value, it is the ask of before.
    removed = decided(status=done.status)
    assert starts(decided(status=removed.status, rerun="1")) == []
    assert starts(decided(status=done.status, rerun="2"))


def test_a_run_that_goes_on_is_stopped_by_a_rerun_first():
    decision = decided(run(job="old"), status=started(), rerun="1")
    assert (stops(decision), starts(decision)) == (["old"], [])
    (last,) = present(decision.status.history)
    assert (last.number, last.phase, last.reason) == (1, Phase.FAILED, "Superseded")
    assert starts(decided(status=decision.status, rerun="1")) == [job_name("hello", "uid-1", 2, 1)]


@pytest.mark.parametrize("changes", [{}, {"status": succeeded(), "generation": 2}], ids=["new", "changed"])
def test_a_value_that_comes_with_a_spec_is_the_run_of_the_spec(changes):
    first = decided(rerun="1", **changes)
    assert present(first.status.run).trigger == "Spec"
    later = {**changes, "status": first.status}
    assert starts(decided(run(number=present(first.status.run).number), rerun="1", **later)) == []
    assert present(first.status.last_handled).rerun == "1"


def test_a_run_is_cancelled_once_and_another_may_follow():
    decision = decided(run(job="old"), status=started(), cancel="x")
    assert truths(decision.status) == FAILED
    assert reason(decision.status) == "Cancelled"
    assert stops(decision) == ["old"]
    assert decision.status_first, "a Job that is gone without it would be somebody else's doing"
    assert "strake.dev/cancel=x" in present(decision.status.failure).message
    assert decided(status=decision.status, cancel="x").status == decision.status
    again = decided(status=decision.status, cancel="x", rerun="1")
    assert starts(again) == [job_name("hello", "uid-1", 2, 1)]
    assert truths(decided(run(number=2), status=again.status, cancel="x", rerun="1").status) == UNDER_WAY
    changed = decided(status=decision.status, cancel="x", generation=2)
    assert starts(changed) == [job_name("hello", "uid-1", 2, 1)]


def test_what_is_cancelled_before_the_operator_sees_it_does_not_start():
    decision = decided(cancel="x")
    assert decision.actions == ()
    assert reason(decision.status) == "Cancelled"
    assert present(decision.status.history)[0].start_time is None


def test_a_cancel_of_a_run_that_ended_is_noted_and_nothing_else():
    decision = decided(status=succeeded(), cancel="x")
    assert truths(decision.status) == SUCCEEDED
    assert present(decision.status.last_handled).cancel == "x"
    assert starts(decided(status=decision.status, cancel="x", rerun="1"))


def test_a_rerun_beside_a_cancel_comes_after_it():
    decision = decided(run(job="old"), status=started(), rerun="1", cancel="1")
    assert stops(decision) == ["old"]
    assert starts(decided(status=decision.status, rerun="1", cancel="1"))


def test_an_attempt_that_waits_is_cancelled_too():
    waiting = decided(run(pod=pod(phase="Failed", disrupted="drain")), status=started()).status
    decision = decided(status=waiting, cancel="x")
    assert reason(decision.status) == "Cancelled"
    assert decision.status.next_attempt_time is None


def test_a_suspended_build_starts_nothing():
    decision = decided(spec=SUSPENDED)
    assert decision.actions == ()
    assert reason(decision.status) == "Suspended"
    assert (truths(decision.status), decision.status.phase) == (UNDER_WAY, Phase.PENDING)
    let_go = decided(status=decision.status, generation=2, spec=SPEC)
    assert starts(let_go) == [job_name("hello", "uid-1", 1, 1)], "the run that waited"


def test_a_suspended_build_goes_on_with_the_run_that_it_has():
    decision = decided(run(job="old"), status=started(), generation=2, spec=SUSPENDED)
    assert decision.actions == ()
    assert decision.status.phase is Phase.BUILDING
    assert decision.status.observed_generation == 2


def test_suspend_says_nothing_of_what_was_built():
    before = succeeded()
    for generation, spec in ((2, SUSPENDED), (3, SPEC)):
        decision = decided(status=before, generation=generation, spec=spec)
        assert decision.actions == ()
        assert truths(decision.status) == SUCCEEDED
        assert decision.status.observed_generation == generation
        assert {each.observed_generation for each in decision.status.conditions} == {generation}
        before = decision.status


def test_a_rerun_of_a_suspended_build_waits():
    decision = decided(status=succeeded(), generation=2, spec=SUSPENDED, rerun="1")
    assert (starts(decision), reason(decision.status)) == ([], "Suspended")
    assert decision.status.image == f"r.example:5000/app@{DIGEST}"
    assert starts(decided(status=decision.status, generation=3, spec=SPEC, rerun="1"))


def test_a_spec_that_was_superseded_before_it_started_is_no_run_that_was():
    waiting = decided(spec=SUSPENDED).status
    later = decided(status=waiting, generation=2).status
    assert later.history is None
    assert present(later.run).number == 2, "a Job of the first may be there"


def test_history_tells_what_each_run_was():
    status = succeeded()
    (first,) = present(status.history)
    assert (first.number, first.generation, first.trigger, first.digest) == (1, 1, "Spec", DIGEST)
    assert (first.attempts, first.isolation, first.start_time) == (1, "nested", "2026-11-22T12:00:00Z")
    status = decided(status=status, rerun="1", rerun_by="ci").status
    status = decided(run(number=2, pod=pod(ended(FAILURE.to_json()))), status=status, rerun="1").status
    second = present(status.history)[0]
    assert (second.number, second.trigger, second.requested_by) == (2, "Rerun", "ci")
    assert (second.phase, second.reason, second.digest) == (Phase.FAILED, "RunStepFailed", None)


def test_a_status_of_an_operator_without_numbers_is_taken_on():
    old = ImageBuildStatus(observed_generation=4, phase=Phase.BUILDING, job="hello-4", attempts=1)
    decision = decided(run(number=4, job="hello-4"), status=old, generation=4)
    assert decision.actions == ()
    now = present(decision.status.run)
    assert (now.number, now.generation, now.spec_digest) == (4, 4, spec_digest(spec_of(4)))
    assert present(decided(status=old, generation=5).status.run).number == 5


def test_only_a_job_of_the_run_that_is_due_needs_to_be_known():
    """One of the next run may be forged before the operator made it."""
    before = build(succeeded(), rerun="1")
    counted, strays = sort_out(
        [run(job="a", number=2, uid="u2"), run(job="b", number=1, uid="u1")], before, ()
    )
    assert ([each.job for each in counted], [each.job for each in strays]) == (["b"], ["a"])
    counted, strays = sort_out([run(job="a", number=2, uid="u2")], before, {"u2"})
    assert [each.job for each in counted] == ["a"]


def test_values_of_any_length_are_told_apart():
    long = "x" * 5000
    assert len(kept_value(long)) < 100
    assert kept_value(long) != kept_value(long + "y")
    assert kept_value("2026-11-28T16:00:00Z") == "2026-11-28T16:00:00Z"
    assert "\x1b" not in kept_value("\x1b[2J")
    asked = decided(status=succeeded(), rerun=long).status
    assert number_of(decided(run(number=2), status=asked, rerun=long).status) == 2


def test_a_spec_that_cannot_be_read_is_looked_at_again_when_it_changes():
    status = decided(spec=InvalidSpec("bad")).status
    assert decided(spec=InvalidSpec("bad"), status=status).status == status
    assert (
        present(decided(spec=InvalidSpec("worse"), status=status, generation=2).status.failure).message
        == "worse"
    )


def test_defaults_are_no_part_of_what_is_built():
    """A field that a newer operator knows must not start all builds anew."""
    explicit = SPEC.model_validate({**SPEC.to_dict(), "timeout": "1h", "dockerfile": "Dockerfile"})
    assert spec_digest(explicit) == spec_digest(SPEC)
    assert spec_digest(SUSPENDED) == spec_digest(SPEC)
    assert spec_digest(SPEC.model_copy(update={"target": "x"})) != spec_digest(SPEC)


def test_a_generation_that_somebody_wrote_starts_nothing():
    status = succeeded().model_copy(update={"observed_generation": 0})
    assert starts(decided(status=status)) == []
    forged = status.model_copy(
        update={
            "last_handled": HandledRequests(rerun="1"),
            "run": CurrentRun(number=9, generation=1, trigger="Spec", spec_digest=spec_digest(SPEC)),
        }
    )
    assert starts(decided(status=forged, rerun="1")) == []
