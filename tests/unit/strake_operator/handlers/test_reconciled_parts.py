"""One reconcile of a build of several platforms: one Job, its UID on the status, and what is told of it."""

from __future__ import annotations

from strake_api.status import CreatedObjects
from strake_operator.errors import RefusedError
from strake_operator.parts import part_label
from tests.unit.strake_operator.builders import build, run
from tests.unit.strake_operator.handlers.recorded import Cluster, looked_at, reconcile, reconciler_of
from tests.unit.strake_operator.reconcile.parts.several import AMD64, ARM64, FIXED, parts_of


def test_each_reconcile_makes_one_job_and_writes_its_uid():
    cluster = Cluster(build(spec=FIXED))
    reconciler = reconciler_of(cluster)
    for part in (AMD64, ARM64):
        looked_at(reconciler, cluster)
        cluster.the_build = build(cluster.status, spec=FIXED)
        made = parts_of(cluster.status)[part]
        assert made.created == CreatedObjects(job="uid-of-Job", request="uid-of-ConfigMap")
        label = part_label(part)
        cluster.found += (run(job=made.job, part=label, uid="uid-of-Job", request="uid-of-ConfigMap"),)
        assert cluster.messages[-1] == f"started Job {made.job} of {part}"
    assert [what for what, _ in cluster.done] == 2 * ["create", "create", "status", "announce"]


def test_a_refused_job_is_told_of_its_part():
    cluster = Cluster(build(spec=FIXED), create=RefusedError("creating Job team/x: spec: invalid"))
    reconcile(cluster)
    assert cluster.status.phase == "Failed"
    assert cluster.status.failure.message.startswith(f"{AMD64}: the cluster refuses")
    assert cluster.messages == [cluster.status.failure.message]
