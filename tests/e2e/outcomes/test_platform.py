"""ImageBuilds for another platform than the node's."""

from __future__ import annotations

from strake_oci.spec.platform import host
from tests.cluster.objects import apply, get
from tests.e2e.builds import build, finished, manifest, pods

OTHER = "linux/arm64" if host().architecture == "amd64" else "linux/amd64"


def test_what_has_no_step_to_run_builds_anywhere(namespace):
    status = build(namespace, "FROM scratch\nCOPY Dockerfile /\n", platform=OTHER)
    assert status["phase"] == "Succeeded", status
    assert [each["platform"] for each in status["platforms"]] == [OTHER]
    (name,) = pods(namespace)
    affinity = get("pod", name, "-n", namespace)["spec"]["affinity"]["nodeAffinity"]
    assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"]


def test_a_step_that_the_node_cannot_run_is_told_before_it_starts(namespace):
    apply(manifest('FROM scratch\nCOPY Dockerfile /\nRUN ["/x"]\n', platform=OTHER), namespace)
    failure = finished(namespace)["failure"]
    assert (failure["reason"], failure["line"]) == ("Unsupported", 3)
    assert OTHER in failure["message"]
