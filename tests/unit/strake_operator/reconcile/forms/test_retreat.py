"""A pod whose form is refused: the same attempt again, in the next form."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, Isolation
from strake_api.spec.pod.pod import BuilderPod
from strake_operator.isolation import PodForm
from strake_operator.names import job_name
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StartRun, StopRun
from strake_operator.reconcile.ends.refusal import refused
from strake_operator.reconcile.forms.experience import Beginning, Lesson
from strake_operator.reconcile.observed import PodContainer, Running, Waiting
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import (
    NOW,
    SETTINGS,
    SPEC,
    SUCCESS,
    ended,
    pod,
    problem,
    reason,
    run,
    seen,
    truths,
)

UNAVAILABLE = BuildFailed(
    reason=FailureReason.ISOLATION_UNAVAILABLE, message="unshare: user namespace refused: seccomp"
)
NO_USERNS = "can't set `spec.hostUsers: false`, runtime does not support user namespaces"
NO_PROC = 'pods "x" is forbidden: violates PodSecurity "baseline:v1.34": procMount (container "builder" …)'
NESTED_ONLY = replace(SETTINGS, isolation="nested")
NAMES = {form: job_name("hello", "uid-1", 1, 1, form) for form in PodForm}
LATER = NOW + timedelta(minutes=5)


def nested(**changes):
    return run(**{"job": NAMES[PodForm.NESTED], **changes})


def waiting(state, problems=(), form=PodForm.NESTED):
    return run(job=NAMES[form], form=form, pod=pod(state, phase="Pending", node="n1"), problems=problems)


def started(settings=SETTINGS):
    return decide(seen(), settings, NOW).status


def decided(*runs, settings=SETTINGS, now=NOW, status=None, **changes):
    observation = replace(seen(*runs, status=status or started(settings)), **changes)
    return decide(observation, settings, now)


CASES = {
    "the builder": (
        nested(
            pod=pod(ended(UNAVAILABLE.to_json(), exit_code=13), node="n1"), failure="BackoffLimitExceeded"
        ),
        PodForm.CHROOT,
        "n1",
    ),
    "a rule": (
        nested(pod=None, problems=(problem(f"Error creating: {NO_PROC}", reason="FailedCreate"),)),
        PodForm.MASKED,
        None,
    ),
    "the sandbox": (
        waiting(
            Waiting("ContainerCreating", ""),
            (problem(f"Failed to create pod sandbox: {NO_USERNS}", reason="FailedCreatePodSandBox"),),
        ),
        PodForm.HOST_USERS,
        "n1",
    ),
    "the container": (
        waiting(Waiting("CreateContainerError", 'cannot load seccomp profile "/x.json"')),
        PodForm.CHROOT,
        "n1",
    ),
    "its start": (
        nested(
            pod=pod(ended('error mounting "proc" to rootfs', exit_code=128, reason="StartError"), node="n1")
        ),
        PodForm.MASKED,
        "n1",
    ),
    "a start that nobody explains": (
        nested(pod=pod(ended("runc create failed: EINVAL", exit_code=128, reason="StartError"), node="n1")),
        PodForm.CHROOT,
        "n1",
    ),
}


@pytest.mark.parametrize(("refused_run", "form", "node"), CASES.values(), ids=CASES)
def test_the_same_attempt_starts_again_at_once(refused_run, form, node):
    decision = decided(refused_run)
    start, stop = decision.actions
    assert start == StartRun(NAMES[form], 1, 1, form, start.why)
    assert stop == StopRun(refused_run.job)
    assert decision.status.attempts == 1
    assert decision.status.job == NAMES[form]
    assert decision.status.isolation.kind == form.kind
    assert decision.status.isolation.reason == start.why
    assert start.why.startswith("on node n1: " if node else "pods")
    assert truths(decision.status)["Finished"] == "False"
    assert decision.lessons == (Lesson(node, "team", form, start.why),)


@pytest.mark.parametrize(("refused_run", "form", "node"), CASES.values(), ids=CASES)
def test_a_restarted_operator_goes_on_with_what_it_finds(refused_run, form, node):
    """It may be killed before, between and after the two actions, and before the status is written."""
    before = started()
    decision = decided(refused_run)
    start = decision.actions[0]
    second = run(job=start.job, form=form, why=start.why, pod=None)
    for status in (before, decision.status):
        both = decided(second, refused_run, status=status)
        assert both.actions == (StopRun(refused_run.job),)
        ending = decided(second, replace(refused_run, deleting=True), status=status)
        alone = decided(second, status=status)
        assert ending.actions == alone.actions == ()
        for each in (both, ending, alone):
            assert (each.status.job, each.status.attempts) == (start.job, 1)
            assert each.status.isolation == decision.status.isolation


def test_forms_come_one_after_the_other():
    masked = waiting(Waiting("ContainerCreating", ""), form=PodForm.MASKED)
    gone = nested(deleting=True)
    words = problem(f"Failed to create pod sandbox: {NO_USERNS}", reason="FailedCreatePodSandBox")
    decision = decided(replace(masked, problems=(words,)), gone)
    assert [each.job for each in decision.actions] == [NAMES[PodForm.HOST_USERS], NAMES[PodForm.MASKED]]


def test_what_is_known_to_be_refused_is_not_asked_again():
    known = Beginning(PodForm.HOST_USERS, "no node gave a better one lately")
    builder = CASES["the builder"][0]
    assert decided(builder, beginning=known).actions[0].form is PodForm.HOST_USERS


def test_a_run_begins_with_what_nodes_gave_before():
    why = "no node gave a better one lately: on node n1: no"
    decision = decide(replace(seen(), beginning=Beginning(PodForm.CHROOT, why)), SETTINGS, NOW)
    assert decision.actions == (StartRun(NAMES[PodForm.CHROOT], 1, 1, PodForm.CHROOT, why),)
    assert (present(decision.status.isolation).kind, present(decision.status.isolation).reason) == (
        "chroot",
        why,
    )


@pytest.mark.parametrize(
    "case", ["the builder", "the sandbox", "the container", "a start that nobody explains"]
)
def test_a_platform_that_allows_nothing_less_gets_a_failure_that_says_what_to_change(case):
    refused_run = CASES[case][0]
    status = decided(refused_run, settings=NESTED_ONLY, status=started(NESTED_ONLY)).status
    status = decided(refused_run, settings=NESTED_ONLY, status=status, now=LATER).status
    assert truths(status)["Finished"] == "True"
    if case == "a start that nobody explains":
        assert reason(status) == "Unsupported"
        return
    assert reason(status) == "IsolationUnavailable"
    assert "set STRAKE_ISOLATION=auto" in status.failure.message


def test_a_builder_without_any_way_fails_with_its_own_words():
    last = run(job="x", form=PodForm.CHROOT, pod=pod(ended(UNAVAILABLE.to_json(), exit_code=13), node="n1"))
    status = decided(last).status
    assert (reason(status), status.failure.message) == ("IsolationUnavailable", UNAVAILABLE.message)


def test_a_node_that_cannot_start_the_builder_for_long_is_asked_for_less():
    stuck = waiting(Waiting("RunContainerError", "context deadline exceeded"))
    first = decided(stuck)
    assert first.actions == (), "it may be over in a moment"
    last = decided(stuck, status=first.status, now=LATER)
    assert [type(each) for each in last.actions] == [StartRun, StopRun]
    assert last.actions[0].form is PodForm.CHROOT


@pytest.mark.parametrize(
    "words",
    [
        'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true, procMount',
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: no",
    ],
)
def test_what_refuses_every_form_is_no_reason_for_another(words):
    stuck = nested(pod=None, problems=(problem(f"Error creating: {words}", reason="FailedCreate"),))
    first = decided(stuck)
    assert (first.actions, reason(first.status)) == ((), "PolicyDenied")
    assert decided(stuck, status=first.status, now=LATER).status.failure.reason == "PolicyDenied"


def test_an_old_warning_does_not_stop_a_builder_that_runs():
    words = problem(f"Failed to create pod sandbox: {NO_USERNS}", reason="FailedCreatePodSandBox")
    assert decided(nested(pod=pod(Running(), node="n1"), problems=(words,))).actions == ()


def test_a_job_that_somebody_deletes_is_not_started_again():
    deleted = replace(CASES["the builder"][0], deleting=True)
    assert not [each for each in decided(deleted).actions if isinstance(each, StartRun)]


@pytest.mark.parametrize(
    ("asked", "used", "shown"),
    [
        (None, Isolation(kind="nested"), ("nested", True, None)),
        (None, Isolation(kind="nested", own_proc=False, reason="masked"), ("nested", False, "masked")),
        ("on node n1: no", Isolation(kind="chroot", own_proc=False), ("chroot", False, "on node n1: no")),
        (None, None, ("nested", None, None)),
    ],
)
def test_the_status_says_what_was_used(asked, used, shown):
    result = SUCCESS.model_copy(update={"isolation": used})
    form = PodForm.CHROOT if asked else PodForm.NESTED
    done = run(job="x", form=form, why=asked, pod=pod(ended(result.to_json(), exit_code=0), node="n1"))
    decision = decided(done)
    found = decision.status.isolation
    assert (found.kind, found.own_proc, found.reason) == shown
    worked = (Lesson("n1", "team", PodForm.NESTED),) if used and used.kind == "nested" else ()
    assert decision.lessons == worked


def test_a_new_generation_asks_anew():
    chroot = decided(CASES["the builder"][0]).status
    again = decide(seen(status=chroot, generation=2), SETTINGS, NOW)
    assert instance(again.actions[0], StartRun).form is PodForm.NESTED
    assert present(again.status.isolation).kind == "nested"


def test_what_is_learned_of_a_runtime_class_is_about_it():
    sandboxed = SPEC.model_copy(update={"pod": BuilderPod(runtime_class_name="gvisor")})
    observed = seen(CASES["the builder"][0], spec=sandboxed)
    assert instance(decide(observed, SETTINGS, NOW).lessons[0], Lesson).runtime_class == "gvisor"
    start = (StartRun(NAMES[PodForm.NESTED], 1, 1),)
    decision = refused(observed, start, "hostUsers must not be set", SETTINGS, NOW, forbidden=True)
    assert instance(decision.lessons[0], Lesson).runtime_class == "gvisor"


def test_a_runtime_that_a_node_lacks_is_lacking_in_every_form():
    words = 'Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "nope" is configured'
    waiting = run(pod=pod(None), problems=(problem(words, reason="FailedCreatePodSandBox", last=NOW),))
    first = decide(seen(waiting), SETTINGS, NOW)
    assert not first.actions
    late = NOW + timedelta(seconds=SETTINGS.grace_seconds)
    waiting = replace(waiting, problems=(replace(waiting.problems[0], last=late),))
    last = decide(seen(waiting, status=first.status), SETTINGS, late)
    assert last.actions == (StopRun(waiting.job),)
    assert present(last.status.failure).reason == "Unsupported"


def test_a_job_that_the_api_server_refuses_for_its_form():
    start = (StartRun(NAMES[PodForm.NESTED], 1, 1),)
    words = 'admission webhook "v" denied the request: procMount must be Default'
    decision = refused(seen(), start, words, SETTINGS, NOW, forbidden=True)
    assert decision.lessons == (Lesson(None, "team", PodForm.MASKED, words),)
    assert decision.requeue_after == 0
    assert truths(decision.status)["Finished"] == "False"
    only = refused(seen(), start, f"hostUsers: {words}", NESTED_ONLY, NOW, forbidden=False)
    assert instance(only.lessons[0], Lesson).form is PodForm.MASKED
    last = (replace(start[0], form=PodForm.MASKED),)
    failed = refused(seen(), last, "hostUsers must not be set", NESTED_ONLY, NOW, forbidden=False)
    assert reason(failed.status) == "IsolationUnavailable"
    assert "set STRAKE_ISOLATION=auto" in present(failed.status.failure).message


@pytest.mark.parametrize(
    ("words", "form"),
    [("exec: no such file", None), (NO_USERNS, PodForm.HOST_USERS)],
    ids=["its own mistake", "about isolation"],
)
def test_a_container_that_was_added_costs_no_isolation(words, form):
    """What a rule put there may be broken in every form; a node without user namespaces is another matter."""
    state = ended(words, exit_code=128, reason="StartError")
    decision = decided(nested(pod=pod(state, node="n1", subject=PodContainer("rules"))))
    starts = [each.form for each in decision.actions if isinstance(each, StartRun)]
    assert starts == ([] if form is None else [form])
    assert bool(decision.lessons) == (form is not None)


def test_a_container_that_was_added_and_stays_broken_costs_no_isolation():
    state = pod(Waiting("CreateContainerError", "no such file"), node="n1", subject=PodContainer("rules"))
    first = decided(nested(pod=state)).status
    last = decide(seen(nested(pod=state), status=first), SETTINGS, NOW + timedelta(minutes=5))
    assert present(last.status.failure).reason == "Unsupported"
    assert not any(isinstance(each, StartRun) for each in last.actions)
