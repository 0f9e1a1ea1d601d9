"""One look at a build: in which order things are done, and what happens when they cannot be done."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.errors import (
    ClusterError,
    ConflictError,
    NamespaceEndsError,
    NotFoundError,
    RefusedError,
    UndeletedError,
)
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.reconciler import LOOK_SECONDS, Reconciler
from strake_operator.handlers.slots import Slots
from strake_operator.kube import watched as known
from strake_operator.kube.builds import KnownBuilds
from strake_operator.kube.policies import Policies
from strake_operator.reconcile.admission.admit import Limits, Waiting
from strake_operator.reconcile.ends.refusal import QUOTA_SECONDS
from tests.unit.strake_operator.builders import (
    FAILURE,
    NOW,
    SETTINGS,
    SUCCESS,
    build,
    ended,
    no_log,
    pod,
    run,
)
from tests.unit.strake_operator.handlers.recorded import (
    BUILD,
    KEY,
    Cluster,
    looked_at,
    reconcile,
    reconciler_of,
)


def test_a_run_is_created_before_the_status_names_it():
    cluster = Cluster()
    reconcile(cluster)
    assert cluster.done == [
        ("create", "ConfigMap"),
        ("create", "Job"),
        ("status", "Pending"),
        ("announce", ("Normal", "Started")),
    ]


def test_a_build_that_is_gone_is_forgotten():
    cluster = Cluster(NotFoundError("gone"))
    assert reconcile(cluster) is None
    assert cluster.done == []


@pytest.mark.parametrize(
    ("result", "phase", "announced"),
    [(SUCCESS, "Succeeded", ("Normal", "Pushed")), (FAILURE, "Failed", ("Warning", "RunStepFailed"))],
)
def test_a_result_is_harvested_and_announced(result, phase, announced):
    cluster = Cluster(BUILD, runs=[run(pod=pod(ended(result.to_json())))])
    reconcile(cluster)
    assert ("status", phase) in cluster.done
    assert cluster.done[-1] == ("announce", announced)


def test_nothing_new_writes_nothing():
    first = Cluster()
    reconcile(first)
    second = Cluster(
        build(first.status),
        [run(job=first.status.job, pod=None, uid="uid-of-Job", request="uid-of-ConfigMap")],
    )
    reconcile(second)
    third = Cluster(
        build(second.status or first.status),
        [run(job=first.status.job, pod=None, uid="uid-of-Job", request="uid-of-ConfigMap")],
    )
    reconcile(third)
    assert third.done == []


def test_progress_comes_from_the_log():
    cluster = Cluster(BUILD, runs=[run()])
    lines = ["no line of a log", f"{NOW.isoformat()} == steps: 2", f"{NOW.isoformat()} #1/2 [0] RUN make"]
    reconcile(cluster, [line.encode() for line in lines])
    assert cluster.status.progress == "[1/2] RUN make"


def test_what_the_cluster_refuses_fails_the_build():
    cluster = Cluster(create=RefusedError("creating Job team/x: spec.resources: invalid"))
    reconcile(cluster)
    assert cluster.status.failure.reason == "InvalidRequest"
    assert "spec.resources" in cluster.status.failure.message
    assert [what for what, _ in cluster.done][:1] == ["status"]


@pytest.mark.parametrize("problem", [ClusterError("503"), ConflictError("409")], ids=repr)
def test_trouble_with_the_api_server_is_for_the_queue(problem):
    with pytest.raises(type(problem)):
        reconcile(Cluster(status=problem))


class Watched:
    """What the watches know, where it is behind the cluster."""

    def __init__(self, *runs):
        self.found = runs
        self.policies = Policies()
        self.builds = KnownBuilds()

    def runs(self, _):
        return self.found

    def predecessors(self, _):
        return ()

    def rivals(self, _build, _destinations):
        return ()


def test_a_build_that_goes_on_costs_no_reads():
    started = Cluster()
    reconcile(started)
    waiting = run(job=started.status.job, pod=None, uid="uid-of-Job", request="uid-of-ConfigMap")
    cluster = Cluster(build(started.status))
    reconcile(cluster, watched=Watched(waiting))
    assert cluster.reads == 0


def test_what_a_policy_forbids_gets_no_job():
    watched = known.Watched()
    watched.policies.namespace({"metadata": {"name": "team", "labels": {}}})
    watched.policies.policy({"metadata": {"name": "strict"}, "spec": {"destinations": ["r.example/other/*"]}})
    cluster = Cluster()
    reconcile(cluster, watched=watched)
    assert cluster.made == []
    assert (cluster.status.phase, cluster.status.failure.reason) == ("Failed", "PolicyDenied")


def test_the_labels_of_a_new_namespace_are_read_before_a_build_in_it_starts():
    watched = known.Watched()
    selector = {"namespaceSelector": {"matchLabels": {"tenant": "yes"}}, "destinations": []}
    watched.policies.policy({"metadata": {"name": "tenants"}, "spec": selector})
    for labels, phase in (({"tenant": "yes"}, "Failed"), ({}, "Pending")):
        cluster = Cluster()
        cluster.labels = labels
        watched.policies.namespace({"metadata": {"name": "team"}}, gone=True)
        reconcile(cluster, watched=watched)
        assert cluster.status.phase == phase


def test_a_job_that_the_watch_has_not_brought_yet_is_no_deleted_one():
    started = Cluster()
    reconcile(started)
    cluster = Cluster(build(started.status), [run(job=started.status.job, uid="uid-of-Job")])
    reconcile(cluster, watched=Watched())
    assert cluster.status.phase == "Building"


def test_a_webhook_that_is_down_leaves_words_and_starts_later():
    cluster = Cluster(create=ClusterError("creating ConfigMap: failed calling webhook"))
    with pytest.raises(ClusterError):  # the queue tries again, less and less often
        reconcile(cluster)
    assert "failed calling webhook" in cluster.status.progress
    assert cluster.status.phase == "Pending"
    later = Cluster(build(cluster.status))
    reconcile(later)
    assert ("create", "Job") in later.done


def test_a_quota_that_others_use_at_the_same_time_is_for_the_queue():
    with pytest.raises(ConflictError):
        reconcile(Cluster(create=ConflictError("Operation cannot be fulfilled on resourcequotas")))


def test_an_attempt_is_given_up_on_the_status_before_its_job_goes():
    """Killed between the two, the operator must not take the Job's end for somebody else's doing."""
    cluster = Cluster(BUILD, runs=[run(pod=pod(phase="Failed", disrupted="drain"))])
    reconcile(cluster)
    assert [what for what, _ in cluster.done] == ["status", "announce", "delete"]


def test_a_start_that_is_refused_is_tried_again_when_the_refusal_says():
    """Not as soon as what was done is looked at: nothing was."""
    cluster = Cluster(create=RefusedError("exceeded quota: q", forbidden=True))
    assert reconcile(cluster) == QUOTA_SECONDS


def test_a_namespace_that_is_being_deleted_gets_no_more_than_one_status():
    ends = NamespaceEndsError("forbidden: because it is being terminated")
    cluster = Cluster(create=ends, announce=ends)
    assert reconcile(cluster) is None
    assert cluster.done == [("status", "Pending")]
    again = Cluster(build(cluster.status), create=ends, announce=ends)
    assert reconcile(again) is None
    assert again.done == []


@pytest.mark.parametrize(
    "refusal", [NamespaceEndsError("terminating"), RefusedError("exceeded quota", forbidden=True)], ids=repr
)
def test_an_event_that_the_cluster_refuses_keeps_nothing(refusal):
    cluster = Cluster(announce=refusal)
    assert reconcile(cluster)
    assert cluster.made == [cluster.status.job, cluster.status.job]


class Strict(Cluster):
    """A cluster with a rule against Jobs of one form."""

    async def create(self, manifest):
        template = manifest.get("spec", {}).get("template", {}).get("spec", {})
        for container in template.get("containers", ()):
            if "procMount" in container["securityContext"]:
                raise RefusedError("creating Job: denied the request: no procMount here", forbidden=True)
        return await super().create(manifest)


def test_a_rule_against_one_form_is_learned_for_the_namespace():
    cluster = Strict()
    reconciler = reconciler_of(cluster)
    assert looked_at(reconciler, cluster) == 0
    looked_at(reconciler, cluster)
    assert cluster.status.job.endswith("-masked")
    assert "no procMount here" in cluster.status.isolation.reason
    assert cluster.status.attempts == 1
    assert ("delete", cluster.made[0]) in cluster.done, "the ConfigMap of the refused run"
    other = cluster.the_build = build(name="other")
    assert looked_at(reconciler, cluster, other.name) == LOOK_SECONDS
    assert cluster.status.job.startswith("other-")
    assert cluster.status.job.endswith("-masked"), "it begins with what the namespace allows"


def test_a_node_that_gives_no_nested_pod_is_not_asked_by_the_next_build():
    refusal = BuildFailed(reason=FailureReason.ISOLATION_UNAVAILABLE, message="seccomp")
    cluster = Cluster(BUILD, runs=[run(pod=pod(ended(refusal.to_json()), node="n1"))])
    reconciler = reconciler_of(cluster)
    looked_at(reconciler, cluster)
    assert ("delete", "hello-1") in cluster.done
    assert cluster.status.job.endswith("-chroot")
    assert cluster.messages[-1] == (
        f"started Job {cluster.status.job}, isolated by chroot: on node n1: seccomp"
    ), "kubectl describe shows it"
    cluster.the_build, cluster.found = build(name="other"), ()
    looked_at(reconciler, cluster, "other")
    assert cluster.status.job.endswith("-chroot")
    assert cluster.status.isolation.reason == "no node gave a better one lately: on node n1: seccomp"


KEPT = UndeletedError('deleting team/hello-1: admission webhook "keep.example" denied the request: not yet')


def test_a_job_that_a_rule_keeps_changes_no_result_and_is_told_once():
    done = Cluster(BUILD, runs=[run(pod=pod(ended(SUCCESS.to_json())))])
    reconcile(done)
    over = done.status.model_copy(update={"completion_time": "2026-01-01T00:00:00Z"})
    found = [run(pod=pod(ended(SUCCESS.to_json())))]
    cluster = Cluster(build(over), found, delete=KEPT)
    with pytest.raises(UndeletedError):
        reconcile(cluster)
    assert (cluster.status.phase, cluster.status.image) == ("Succeeded", over.image)
    (told,) = cluster.status.warnings
    assert (
        'the cluster refuses to delete what is to end: deleting team/hello-1: admission webhook "keep' in told
    )
    again = Cluster(build(cluster.status), found, delete=KEPT)
    with pytest.raises(UndeletedError):
        reconcile(again)
    assert again.done == []


def test_a_cancelled_run_whose_job_a_rule_keeps_says_that_it_goes_on():
    cluster = Cluster(replace(BUILD, cancel="now"), runs=[run()], delete=KEPT)
    with pytest.raises(UndeletedError):
        reconcile(cluster)
    assert cluster.status.failure.reason == "Cancelled"
    assert [what for what, _ in cluster.done].count("status") == 1, "of one version one can be written"
    over = cluster.status.model_copy(update={"completion_time": "2026-01-01T00:00:00Z"})
    later = Cluster(replace(BUILD, cancel="now", status=over), runs=[run()], delete=KEPT)
    with pytest.raises(UndeletedError):
        reconcile(later)
    assert later.status.failure.reason == "Cancelled"
    assert "the cluster refuses to delete what is to end" in later.status.warnings[0]


def test_a_run_that_waits_for_one_that_a_rule_keeps_says_why():
    cluster = Cluster(replace(BUILD, rerun="again"), runs=[run()], delete=KEPT)
    with pytest.raises(UndeletedError):
        reconcile(cluster)
    assert cluster.status.phase == "Pending"
    assert 'admission webhook "keep.example" denied the request: not yet' in cluster.status.progress


def test_a_job_that_a_queue_of_others_suspends_takes_nobodys_turn():
    async def test():
        slots = Slots(lambda: Limits(cluster=1), set, lambda _: None)
        cluster: Any = Cluster(BUILD, runs=[run(suspended=True, pod=None)])
        reconciler = Reconciler(cluster, Follower(no_log), SETTINGS, print, lambda: NOW, slots=slots)
        await reconciler.reconcile(KEY)
        assert cluster.status.phase == "Queued"
        return slots.admission(Waiting("team", "another", NOW + timedelta(hours=1)))

    assert asyncio.run(test()).admitted
