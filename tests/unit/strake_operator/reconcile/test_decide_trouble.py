"""Decisions where a node, a rival or the cluster is in the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import DropPod, StopRun
from strake_operator.reconcile.ends.refusal import namespace_ends, refused, unavailable
from strake_operator.reconcile.observed import Observation, PodContainer, Running
from strake_operator.settings.environment import Ceiling
from tests.fixtures.narrow import present
from tests.unit.strake_operator.builders import (
    NOW,
    SETTINGS,
    SUCCESS,
    build,
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

FAR = NOW + timedelta(hours=1, minutes=3)


@pytest.mark.parametrize(
    "stuck",
    [run(job="x"), run(job="x", pod=None), run(job="x", pod=pod(Running(), deleting=True, ends=FAR))],
    ids=["runs", "no pod", "asked to end"],
)
def test_a_deadline_is_kept_whatever_the_node_does(stuck):
    decision = decide(seen(stuck, status=started()), SETTINGS, FAR)
    assert present(decision.status.failure).reason == "TimedOut"
    assert decision.actions == (StopRun("x"),)
    assert decision.status_first


def test_a_time_out_keeps_what_the_build_waited_for():
    status = decided(run(pod=pod(None, unschedulable="0/3 nodes")), status=started()).status
    late = run(pod=None, failure="DeadlineExceeded", finished=True)
    message = present(decided(late, status=status).status.failure).message
    assert "never started: no node fits the builder pod: 0/3 nodes" in message


GONE = pod(Running(), deleting=True, ends=NOW - timedelta(minutes=1))


def test_a_lost_node_costs_an_attempt_and_not_the_build():
    decision = decided(run(job="x", pod=GONE), status=started())
    assert decision.actions == (StopRun("x"), DropPod(GONE.name))
    assert truths(decision.status) == UNDER_WAY
    late = decided(run(job="x", pod=GONE, failure="DeadlineExceeded"), status=started())
    assert present(late.status.failure).reason == "TimedOut"
    assert late.actions == (DropPod(GONE.name),)


def test_a_changed_spec_does_not_wait_for_a_lost_node():
    old = run(job="old", deleting=True, pod=GONE)
    assert decided(old, status=started(), generation=2).actions == (DropPod(GONE.name),)


def test_a_new_build_waits_for_the_pod_of_a_deleted_one():
    old = pod(Running(), name="old-pod", deleting=True, ends=NOW)
    waiting = decide(Observation(build(), (), None, predecessors=(old,)), SETTINGS, NOW)
    assert waiting.actions == ()
    assert reason(waiting.status) == "Queued"
    assert "old-pod" in present(waiting.status.progress)
    lost = decide(Observation(build(), (), None, predecessors=(GONE,)), SETTINGS, NOW)
    assert lost.actions == (DropPod(GONE.name),)


def test_two_builds_of_one_tag_are_reported():
    rivals = (("r.example:5000/app:1", "other"),)
    first = decide(Observation(build(), (), None, rivals=rivals), SETTINGS, NOW).status
    assert "ImageBuild other pushes to r.example:5000/app:1, too" in present(first.warnings)[0]
    end = run(pod=pod(ended(SUCCESS.to_json(), exit_code=0)))
    last = decide(Observation(build(first), (end,), None, rivals=rivals), SETTINGS, NOW).status
    assert last.warnings == first.warnings


def test_what_is_left_of_a_finished_run_goes_after_a_time():
    end = NOW + timedelta(seconds=SETTINGS.keep_seconds)
    decision = decide(seen(run(job="x", finished=True), status=succeeded()), SETTINGS, end)
    assert decision.actions == (StopRun("x"),)
    assert truths(decision.status) == SUCCEEDED


def test_a_sidecar_does_not_keep_a_pod():
    over = run(job="x", pod=pod(ended(SUCCESS.to_json(), exit_code=0)))
    soon = decide(seen(over, status=succeeded()), SETTINGS, NOW)
    assert soon.actions == ()
    later = decide(
        seen(over, status=succeeded()), SETTINGS, NOW + timedelta(seconds=present(soon.requeue_after))
    )
    assert later.actions == (StopRun("x"),)


def test_conditions_that_somebody_removed():
    bare = succeeded().model_copy(update={"conditions": ()})
    assert truths(decided(status=bare).status) == SUCCEEDED
    (last,) = present(decided(status=bare, generation=2).status.history)
    assert (last.generation, last.reason) == (1, "Pushed")


def test_what_is_invalid_is_final():
    decision = refused(seen(), (), "creating Job: spec.resources: invalid", SETTINGS, NOW, forbidden=False)
    assert present(decision.status.failure).reason == "InvalidRequest"
    assert truths(decision.status) == FAILED


def test_a_refusal_for_quota_is_tried_again():
    words = "configmaps is forbidden: exceeded quota: few"
    decision = refused(seen(), (), words, SETTINGS, NOW, forbidden=True)
    assert decision.requeue_after
    assert truths(decision.status) == UNDER_WAY
    assert not decision.status.attempts


def test_a_refusal_by_a_rule_is_shown_and_tried_again_for_a_time():
    first = refused(seen(), (), "a teapot has no room", SETTINGS, NOW, forbidden=True)
    assert truths(first.status) == UNDER_WAY
    assert (reason(first.status), first.status.attempts) == ("PolicyDenied", 0)
    assert "a teapot has no room" in present(first.status.progress)
    last = refused(seen(status=first.status), (), "a teapot has no room", SETTINGS, LATER, forbidden=True)
    assert present(last.status.failure).reason == "PolicyDenied"


def test_a_cluster_in_trouble_is_waited_for():
    decision = unavailable(seen(), "connection refused", NOW)
    assert (reason(decision.status), decision.status.attempts) == ("ClusterUnavailable", 0)
    assert "connection refused" in present(decision.status.progress)


def test_a_webhook_that_does_not_answer_is_named():
    words = 'creating Job team/x: Internal error occurred: failed calling webhook "w.example": no endpoints'
    progress = present(unavailable(seen(), words, NOW).status.progress)
    assert progress.startswith("admission webhook w.example does not answer, and no Job is taken without it")
    assert progress.endswith(words)


def test_nothing_starts_in_a_namespace_that_is_being_deleted():
    decision = namespace_ends(seen(), NOW)
    assert (decision.actions, decision.requeue_after, decision.status.attempts) == ((), None, 0)
    assert truths(decision.status) == UNDER_WAY
    assert decision.status.progress == "namespace team is being deleted: nothing starts in it any more"


def test_a_builder_that_was_killed_tells_what_it_did_and_whose_limit_it_was():
    settings = replace(SETTINGS, ceilings=(Ceiling("small", "memory", "1Gi"),))
    building = decided(run(), status=started()).status.model_copy(update={"progress": "[2/3] RUN make"})
    killed = ended("", exit_code=137, reason="OOMKilled")
    over = run(pod=pod(killed, subject=PodContainer("builder", "b", "1Gi")))
    failure = present(decide(seen(over, status=building), settings, NOW).status.failure)
    assert failure.reason == "OutOfMemory"
    assert failure.message.endswith(
        "the last that it showed: [2/3] RUN make; BuildPolicy small allows at most 1Gi of memory: for more ask the"
        " platform team"
    )
