"""What the operator made and what others put beside it: a run, and Jobs and ConfigMaps of its name."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from strake_api.status import CreatedObjects
from strake_operator.errors import ConflictError, ExistsError
from strake_operator.handlers.reconciler import LOOK_SECONDS
from strake_operator.isolation import PodForm
from strake_operator.names import job_name
from strake_operator.reconcile.observed import Running
from tests.unit.strake_operator.builders import (
    SUCCESS,
    build,
    ended,
    pod,
    run,
)
from tests.unit.strake_operator.handlers.recorded import (
    BUILD,
    KEY,
    Cluster,
    reconcile,
    reconciler_of,
)


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
    assert reconcile(cluster) == LOOK_SECONDS, "it may have ended meanwhile, of which no event tells any more"
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
