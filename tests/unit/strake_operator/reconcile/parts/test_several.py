"""What is decided about a run of several platforms: for each part as for a run, and for the whole from all parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_api.models.verification import CheckResult
from strake_api.status import PartStatus, Phase
from strake_operator.isolation import PodForm
from strake_operator.parts import IndexPart, PlatformPart
from strake_operator.reconcile.admission.admit import Admission
from strake_operator.reconcile.decision import Decision, StartRun, StopRun
from strake_operator.reconcile.ends.refusal import foreign, refused, unavailable
from strake_operator.reconcile.observed import Observation
from strake_operator.reconcile.parts.several import instead, is_in_parts
from strake_operator.reconcile.progress import Progress
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import (
    FAILURE,
    NOW,
    SETTINGS,
    build,
    ended,
    pod,
    problem,
    reason,
    truths,
)
from tests.unit.strake_operator.reconcile.decisions import FAILED, SUCCEEDED, UNDER_WAY
from tests.unit.strake_operator.reconcile.parts.several import (
    AMD64,
    ARM64,
    BUSY,
    COMMIT,
    DIGESTS,
    FIXED,
    LATER,
    SEVERAL,
    begun,
    decided,
    entry,
    job,
    name_of,
    parts_of,
    spec_of,
    starts,
    status_with,
    stops,
)

DONE = "Succeeded"
PUSHED = (entry("source", DONE), entry(AMD64, DONE), entry(ARM64, DONE))


@pytest.mark.parametrize(
    ("spec", "parts", "expected"),
    [
        (SEVERAL, [], ["source"]),
        (SEVERAL, [entry("source", DONE)], [AMD64]),
        (SEVERAL, [entry("source", DONE), entry(AMD64)], [ARM64]),
        (SEVERAL, PUSHED, ["index"]),
        (FIXED, [], [AMD64]),
        (FIXED, [entry(AMD64)], [ARM64]),
        (FIXED, [entry(AMD64, DONE), entry(ARM64, DONE)], ["index"]),
    ],
)
def test_a_part_starts_when_those_before_it_ended_one_at_a_time(spec, parts, expected):
    going = [job(each.name) for each in parts if each.phase != DONE]
    assert starts(decided(*going, status=status_with(*parts, spec=spec), spec=spec)) == expected


def test_the_checks_of_all_platforms_are_on_the_status_of_the_run():
    def checked(platform: str, outcome: str) -> CheckResult:
        return CheckResult(platform=platform, name="smoke", kind="test", outcome=outcome)

    failure = FAILURE.model_copy(update={"verification": (checked(ARM64, "Failed"),)})
    refused_pod = pod(ended(failure.to_json()))
    known = status_with(entry("source", DONE), entry(AMD64, DONE), entry(ARM64))
    known = known.model_copy(update={"verification": (checked(AMD64, "Passed"), checked(ARM64, "Warned"))})
    status = decided(job(ARM64, "failed", pod=refused_pod), status=known).status
    assert status.verification == (checked(AMD64, "Passed"), checked(ARM64, "Failed"))


@pytest.mark.parametrize("part", ["source", AMD64, "index"])
@pytest.mark.parametrize(
    ("state", "phase", "started"),
    [
        ("no pod", "Pending", []),
        ("starts", "Pending", []),
        ("unschedulable", "Pending", []),
        ("runs", "Building", []),
        ("ended well", "Succeeded", []),
        ("failed", "Failed", []),
        ("evicted", "Pending", []),
    ],
)
def test_each_part_is_decided_as_a_run_of_one_platform_is(part, state, phase, started):
    before = {"source": (), AMD64: (entry("source", DONE), entry(ARM64, DONE)), "index": PUSHED}[part]
    decision = decided(job(part, state), status=status_with(*before, entry(part)))
    assert parts_of(decision.status)[part].phase == phase
    assert starts(decision) == started
    whole = {
        "Failed": "Failed",
        "Succeeded": "Succeeded" if part == "index" else "Pushing" if part == AMD64 else "Pending",
    }
    expected = whole.get(phase, "Pushing" if part == "index" else phase)
    assert decision.status.phase == expected
    assert truths(decision.status) == {"Succeeded": SUCCEEDED, "Failed": FAILED}.get(expected, UNDER_WAY)


def test_a_run_of_several_platforms_ends_with_the_index():
    decision = decided(job("index", "ended well"), status=status_with(*PUSHED, entry("index")))
    status = decision.status
    assert status.digest == DIGESTS["index"]
    assert status.image == f"r.example/app@{DIGESTS['index']}"
    assert [(each.platform, each.digest) for each in present(status.platforms)] == [
        (AMD64, DIGESTS[AMD64]),
        (ARM64, DIGESTS[ARM64]),
    ]
    (run,) = present(status.history)
    assert [each.job_uid for each in present(run.parts)] == [
        "uid-source", "uid-linux-amd64", "uid-linux-arm64", "uid-index",
    ]  # fmt: skip
    assert (status.attempts, run.attempts) == (4, 4)
    assert decision.actions == ()
    again = decided(job("index", "ended well"), status=status)
    assert (again.status, again.actions) == (status, ())


def test_what_a_part_needs_comes_from_the_status():
    platform = decided(status=status_with(entry("source", DONE))).actions[0]
    part = instance(instance(platform, StartRun).part, PlatformPart)
    assert [each.revision for each in part.sources] == [COMMIT]
    index = instance(decided(status=status_with(*PUSHED)).actions[0], StartRun)
    made = instance(index.part, IndexPart)
    assert [each.digest for each in made.images] == [DIGESTS[AMD64], DIGESTS[ARM64]]
    assert made.revision == COMMIT
    assert index.job == name_of("index")


def test_the_source_of_the_run_is_what_was_resolved():
    status = decided(job("source", "ended well"), status=status_with(entry("source"))).status
    assert present(status.source).revision == COMMIT


def test_the_index_does_not_start_before_the_results_are_on_the_status():
    before = status_with(entry("source", DONE), entry(AMD64, DONE), entry(ARM64))
    ended = decided(job(ARM64, "ended well"), status=before)
    assert (starts(ended), ended.requeue_after) == ([], 0.0)
    assert starts(decided(job(ARM64, "ended well"), status=ended.status)) == ["index"]


def test_a_platform_that_fails_ends_the_run_and_stops_the_others():
    before = status_with(entry("source", DONE), entry(AMD64), entry(ARM64))
    jobs = job("source", "ended well"), job(AMD64), job(ARM64, "failed")
    decision = decided(*jobs, status=before)
    failure = present(decision.status.failure)
    assert (failure.reason, failure.line) == ("RunStepFailed", 3)
    assert failure.message.startswith(f"{ARM64}: RUN make")
    assert stops(decision) == [name_of(AMD64)], "those that ended stay, with their logs"
    assert decision.status_first
    parts = parts_of(decision.status)
    assert (parts[AMD64].phase, parts[AMD64].reason) == ("Failed", "Cancelled")
    assert parts[AMD64].message == f"stopped: {ARM64} failed"
    assert parts["index"].phase == "Failed"
    assert decision.status.image is None
    # The operator may be killed before it stops the others: the next one does.
    assert stops(decided(*jobs, status=decision.status)) == [name_of(AMD64)]


def test_a_part_whose_builder_ended_pushes_its_log_yet():
    before = status_with(entry(AMD64, DONE), entry(ARM64), spec=FIXED)
    pushing = job(AMD64, "ended well", finished=False)
    decision = decided(pushing, job(ARM64, "failed"), status=before, spec=FIXED)
    assert (decision.status.phase, stops(decision)) == ("Failed", [])
    assert stops(decided(pushing, job(ARM64, "failed"), status=decision.status, spec=FIXED)) == []


def test_a_failure_starts_nothing_more():
    before = status_with(entry(AMD64, None), entry(ARM64), spec=FIXED)
    decision = decided(job(ARM64, "failed"), status=before, spec=FIXED)
    assert decision.status.phase == "Failed"
    assert starts(decision) == []
    assert parts_of(decision.status)[AMD64].job is None


def test_an_attempt_is_that_of_its_platform():
    before = status_with(entry("source", DONE), entry(AMD64), entry(ARM64))
    given_up = decided(job(AMD64, "evicted"), job(ARM64), status=before)
    assert given_up.status_first
    assert stops(given_up) == [name_of(AMD64)]
    parts = parts_of(given_up.status)
    assert (parts[AMD64].job, parts[ARM64].job) == (None, name_of(ARM64))
    assert [(each.part, each.attempt) for each in present(given_up.status.retries)] == [(AMD64, 1)]
    again = decided(job(ARM64), status=given_up.status, now=LATER)
    (start,) = again.actions
    assert (instance(start, StartRun).job, starts(again)) == (f"{name_of(AMD64)}-2", [AMD64])
    assert parts_of(again.status)[ARM64].attempts == 1


@pytest.mark.parametrize(("retries", "phase"), [(0, "Failed"), (1, "Pending")])
def test_a_server_in_trouble_costs_an_attempt_where_the_spec_has_more(retries, phase):
    spec = spec_of(COMMIT, retries=retries)
    before = status_with(entry(AMD64), entry(ARM64), spec=spec)
    decision = decided(job(AMD64), job(ARM64, "busy"), status=before, spec=spec)
    assert decision.status.phase == phase
    assert BUSY.message in (decision.status.progress or present(decision.status.failure).message)


def test_a_refused_form_is_retried_in_the_next_one_for_that_part_alone():
    refusal = problem("pods is forbidden: procMount: Unmasked", reason="FailedCreate")
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    decision = decided(job(AMD64), job(ARM64, "no pod", problems=(refusal,)), status=before, spec=FIXED)
    (start, stop) = decision.actions
    assert instance(start, StartRun).form is PodForm.MASKED
    assert instance(start, StartRun).job == f"{name_of(ARM64)}-masked"
    assert instance(stop, StopRun).job == name_of(ARM64)
    assert parts_of(decision.status)[AMD64].job == name_of(AMD64)


def test_what_blocks_a_part_fails_the_run_when_the_grace_is_over():
    missing = problem('secret "push" not found', last=LATER)
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    jobs = job(AMD64), job(ARM64, "starts", problems=(missing,))
    blocked = decided(*jobs, status=before, spec=FIXED)
    assert (blocked.status.phase, reason(blocked.status)) == ("Pending", "SecretNotFound")
    assert parts_of(blocked.status)[ARM64].blocked_since is not None
    ended = decided(*jobs, status=blocked.status, spec=FIXED, now=LATER)
    assert present(ended.status.failure).message.startswith(f'{ARM64}: Secret "push"')
    assert set(stops(ended)) == {name_of(AMD64), name_of(ARM64)}


def test_what_runs_is_told_of_each_part():
    told = {name_of(AMD64): Progress(Phase.BUILDING, text="[1/2] RUN make", total=2, done=1)}
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    status = decided(job(AMD64), job(ARM64, "unschedulable"), status=before, spec=FIXED, told=told).status
    assert status.progress == f"{AMD64}: [1/2] RUN make; {ARM64}: no node fits the builder pod: 0/1 nodes"
    assert (status.phase, reason(status)) == ("Pending", "PodPending"), "what the run waits for"
    assert present(status.steps).done == 1
    assert parts_of(status)[AMD64].phase == "Building"


def test_a_run_waits_once_for_its_slot_and_has_it_until_it_ends():
    full = Admission(admitted=False, position=3, limit="ClusterLimit", words="4 of 4 runs go on")
    waits = decided(status=begun(FIXED).model_copy(update={"parts": None}), spec=FIXED, admission=full)
    assert (waits.status.phase, present(waits.status.queue).position) == ("Queued", 3)
    assert not is_in_parts(waits.status)
    assert starts(waits) == []
    going = decided(job(AMD64), status=status_with(entry(AMD64), spec=FIXED), spec=FIXED, admission=full)
    assert starts(going) == [ARM64]
    assert is_in_parts(going.status)


@pytest.mark.parametrize("part", ["source", AMD64])
def test_a_cancel_stops_all_jobs(part):
    before = status_with(*([entry("source")] if part == "source" else [entry("source", DONE), entry(AMD64)]))
    decision = decided(job(part), status=before, cancel="now")
    assert present(decision.status.failure).reason == "Cancelled"
    assert stops(decision) == [name_of(part)]
    assert {each.phase for each in present(decision.status.parts)} <= {"Failed", "Succeeded"}


def test_suspend_starts_no_further_part():
    spec = spec_of(COMMIT, suspend=True)
    decision = decided(job(AMD64), status=status_with(entry(AMD64), spec=FIXED), spec=spec)
    assert (starts(decision), stops(decision)) == ([], [])
    assert parts_of(decision.status)[ARM64].reason == "Suspended"


def test_a_job_that_somebody_deletes_ends_the_run():
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    decision = decided(job(AMD64), status=before, spec=FIXED)
    assert present(decision.status.failure).message.startswith(f"{ARM64}: Job {name_of(ARM64)} was deleted")
    assert name_of(AMD64) in stops(decision)


def test_a_changed_spec_stops_all_jobs_first():
    before = status_with(entry("source", DONE), entry(AMD64), entry(ARM64))
    decision = decided(job(AMD64), job(ARM64), status=before, spec=FIXED, generation=2)
    assert set(stops(decision)) == {name_of(AMD64), name_of(ARM64)}
    assert starts(decision) == []
    (superseded,) = present(decision.status.history)
    assert superseded.reason == "Superseded"
    assert len(present(superseded.parts)) == 4
    assert decision.status.parts is None


def test_a_job_that_is_no_part_is_stopped():
    before = status_with(entry(AMD64), entry(ARM64), spec=FIXED)
    odd = replace(job(AMD64), job="hello-d48f25-1", part=None, uid="uid-odd")
    decision = decided(odd, job(AMD64), job(ARM64), status=before, spec=FIXED)
    assert stops(decision) == ["hello-d48f25-1"]


def test_a_status_that_somebody_changed_has_each_part_once():
    parts = (entry("index"), entry(AMD64), entry(AMD64, None), PartStatus(name="linux/sparc", attempts=-5))
    status = begun(FIXED).model_copy(update={"parts": parts})
    decision = decided(job(AMD64), status=status, spec=FIXED)
    assert [each.name for each in present(decision.status.parts)] == [AMD64, ARM64, "index"]


def refusal_of(refuse, status=None):
    status = status or status_with(entry(AMD64), spec=FIXED)
    seen = Observation(build(status, spec=FIXED), (job(AMD64),), None)
    return instead(seen, decided(job(AMD64), status=status, spec=FIXED), NOW, refuse)


def test_a_quota_is_waited_for_by_its_part_and_not_by_the_others():
    words = "forbidden: exceeded quota: pods"
    found = refusal_of(lambda one: refused(one, (), words, SETTINGS, NOW, forbidden=True))
    assert parts_of(found.status)[ARM64].reason == "QuotaExceeded"
    assert parts_of(found.status)[AMD64].job == name_of(AMD64)
    assert starts(decided(job(AMD64), status=found.status, spec=FIXED)) == [], "not at once"
    assert starts(decided(job(AMD64), status=found.status, spec=FIXED, now=LATER)) == [ARM64]


def test_what_the_cluster_refuses_for_good_names_the_part():
    found = refusal_of(lambda one: foreign(one, "Job x is there already", NOW))
    assert present(found.status.failure).message == f"{ARM64}: Job x is there already"
    assert found.actions == (), "it is written first"
    assert stops(decided(job(AMD64), status=found.status, spec=FIXED)) == [name_of(AMD64)]


def test_a_cluster_in_trouble_is_told_of_the_part():
    found = refusal_of(lambda one: unavailable(one, "503", NOW))
    assert parts_of(found.status)[ARM64].reason == "ClusterUnavailable"
    assert found.status.phase == "Pending"


def test_a_refusal_of_a_run_without_parts_is_that_of_the_run():
    seen = Observation(build(), (), None)
    assert instead(seen, Decision(build().status), NOW, lambda one: foreign(one, "x", NOW)) == foreign(
        seen, "x", NOW
    )
