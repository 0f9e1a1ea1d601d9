"""One look at a build: in which order things are done, and what happens when they cannot be done."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_api.status import CreatedObjects, ImageBuildStatus, Phase
from strake_operator.errors import ClusterError, ConflictError, ExistsError, NotFoundError, RefusedError
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.queue import Key
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.isolation import PodForm
from strake_operator.names import job_name
from strake_operator.reconcile.observed import Running
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

KEY = Key("team", "hello")
BUILD = build(ImageBuildStatus(observed_generation=1, phase=Phase.PENDING, job="hello-1", attempts=1))
"""One whose Job is `run()`."""


class Cluster:
    """A cluster that fails on request and remembers what was done to it."""

    def __init__(self, the_build=None, runs=(), **failures):
        self.the_build, self.found, self.failures = the_build or build(), tuple(runs), failures
        self.done: list[tuple[str, object]] = []
        self.status: Any = None
        self.reads = 0
        self.made: list[str] = []
        self.messages: list[str] = []
        self.deleted: list[tuple[str | None, str | None]] = []

    def _do(self, what, detail=None):
        if (failure := self.failures.get(what)) is not None:
            raise failure
        self.done.append((what, detail))

    async def build(self, namespace, name):
        if isinstance(self.the_build, Exception):
            raise self.the_build
        return self.the_build

    async def runs(self, _):
        self.reads += 1
        return self.found

    async def check_predecessors(self, _):
        self.reads += 1

    async def delete_pod(self, namespace, pod, uid):
        self._do("drop", pod)

    async def create(self, manifest):
        self._do("create", manifest["kind"])
        self.made.append(manifest["metadata"]["name"])
        return f"uid-of-{manifest['kind']}"

    async def delete_run(self, namespace, job, uid, request):
        self._do("delete", job)
        self.deleted.append((uid, request))

    async def write_status(self, _, status):
        self._do("status", status.phase)
        self.status = status

    async def announce(self, _build, kind, reason, message, moment):
        self._do("announce", (kind, reason))
        self.messages.append(message)


def reconcile(cluster, lines=None, watched=None):
    async def silent(namespace, pod):
        for line in lines or ():
            yield line

    async def test():
        progressed: list[Key] = []
        follower = Follower(silent)
        reconciler = Reconciler(cluster, follower, SETTINGS, progressed.append, lambda: NOW, watched=watched)
        again = await reconciler.reconcile(KEY)
        for _ in range(10):
            await asyncio.sleep(0)
        if progressed:
            again = await reconciler.reconcile(KEY)
        await follower.close()
        return again

    return asyncio.run(test())


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


def test_a_job_that_the_watch_has_not_brought_yet_is_no_deleted_one():
    started = Cluster()
    reconcile(started)
    cluster = Cluster(build(started.status), [run(job=started.status.job, uid="uid-of-Job")])
    reconcile(cluster, watched=Watched())
    assert cluster.status.phase == "Building"


def test_a_webhook_that_is_down_leaves_words_and_starts_later():
    cluster = Cluster(create=ClusterError("creating ConfigMap: failed calling webhook"))
    assert reconcile(cluster)
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
    assert [what for what, _ in cluster.done] == ["status", "delete"]


class Strict(Cluster):
    """A cluster with a rule against Jobs of one form."""

    async def create(self, manifest):
        template = manifest.get("spec", {}).get("template", {}).get("spec", {})
        for container in template.get("containers", ()):
            if "procMount" in container["securityContext"]:
                raise RefusedError("creating Job: denied the request: no procMount here", forbidden=True)
        return await super().create(manifest)


def reconciler_of(cluster) -> Reconciler:
    """Return one that follows no log."""
    return Reconciler(cluster, Follower(no_log), SETTINGS, print, lambda: NOW)


def looked_at(reconciler, cluster, name="hello"):
    """Reconcile once, and take what was written for what is there."""
    again = asyncio.run(reconciler.reconcile(Key("team", name)))
    cluster.the_build = build(cluster.status or cluster.the_build.status, name=name)
    return again


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
    assert looked_at(reconciler, cluster, other.name) is None
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


class Taken(Cluster):
    """A cluster in which there are objects already.

    Args:
        kinds: Of the objects that are there under the names of the run.
        uid: The Job's, where it is what the operator would make.
    """

    def __init__(self, *kinds, uid=None, **arguments):
        super().__init__(**arguments)
        self.kinds, self.uid = kinds, uid
        self.manifests = []

    async def create(self, manifest):
        self.manifests.append(manifest)
        if manifest["kind"] in self.kinds:
            raise ExistsError("already exists")
        return await super().create(manifest)

    async def same_job(self, manifest, build):
        return self.uid


def test_a_job_of_the_runs_name_that_another_made_is_refused():
    cluster = Taken("Job")
    reconcile(cluster)
    assert cluster.status.failure.reason == "PolicyDenied"
    assert job_name("hello", "uid-1", 1, 1) in cluster.status.failure.message
    assert cluster.status.job is None
    assert cluster.deleted == [(None, "uid-of-ConfigMap")], "the operator's own ConfigMap and nothing else"


def test_a_job_that_the_operator_made_before_it_was_stopped_is_found_again():
    cluster = Taken("ConfigMap", "Job", uid="u-7")
    reconcile(cluster)
    assert cluster.status.created.job == "u-7"
    assert cluster.status.phase == "Pending"
    assert cluster.deleted == []


def test_a_configmap_that_was_there_before_is_never_deleted():
    """What is in it only the builder finds out, which is told the digest that it should have."""
    cluster = Taken("ConfigMap")
    reconcile(cluster)
    job = cluster.manifests[-1]
    assert cluster.status.created.request is None
    assert "strake.dev/request-uid" not in job["metadata"]["annotations"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (digest,) = (each for each in container["args"] if each.startswith("--request-digest="))
    content = cluster.manifests[0]["data"]["request.json"].encode()
    assert digest == f"--request-digest=sha256:{hashlib.sha256(content).hexdigest()}"


def stray(**changes):
    """Return a Job that has name, labels and owner of the run, and reports a success."""
    return run(uid="u-evil", pod=pod(ended(SUCCESS.to_json(), exit_code=0)), **changes)


@pytest.mark.parametrize(
    "forged",
    [
        stray(),
        stray(job="hello-1-chroot", form=PodForm.CHROOT),
        stray(job="hello-1-9", attempt=9),
    ],
    ids=["same name", "weaker form", "later attempt"],
)
def test_a_forged_job_tells_nothing_and_goes(forged):
    created = CreatedObjects(job="u-1", request="u-2")
    begun = BUILD.status.model_copy(update={"created": created})
    mine = run(uid="u-1", request="u-2", pod=pod(Running()))
    runs = [forged] if forged.job == mine.job else [mine, forged]
    cluster = Cluster(build(begun), runs=runs)
    reconcile(cluster)
    assert cluster.status.phase != "Succeeded"
    assert cluster.deleted[-1] == ("u-evil", None)
    if mine in runs:
        assert cluster.status.phase == "Building"
        assert cluster.status.created == created


def test_a_forged_job_before_the_first_is_not_taken_for_it():
    forged = stray(job=job_name("hello", "uid-1", 1, 1, PodForm.CHROOT), form=PodForm.CHROOT)
    cluster = Cluster(runs=[forged])
    reconcile(cluster)
    assert ("create", "Job") in cluster.done
    assert cluster.status.created.job == "uid-of-Job"
    assert cluster.deleted == [("u-evil", None)]


def test_a_status_that_could_not_be_written_costs_no_second_run():
    """Until the UID is on the status the operator has it in memory."""
    cluster = Cluster(status=ConflictError("409"))
    reconciler = reconciler_of(cluster)
    with pytest.raises(ConflictError):
        asyncio.run(reconciler.reconcile(KEY))
    cluster.failures = {}
    cluster.found = (run(job=cluster.made[-1], uid="uid-of-Job", pod=None),)
    asyncio.run(reconciler.reconcile(KEY))
    assert cluster.made.count(cluster.made[-1]) == 2, "one ConfigMap and one Job"
    assert cluster.status.created.job == "uid-of-Job"
