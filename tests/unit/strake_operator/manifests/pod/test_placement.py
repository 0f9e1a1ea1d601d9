"""Where a builder pod runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_for
from tests.unit.strake_operator.builders import SETTINGS, SPEC
from tests.unit.strake_operator.manifests.test_manifests import RUN


def pod_for(platform, settings=SETTINGS):
    spec = SPEC.model_copy(update={"platform": platform})
    return builder_job(RUN, spec, settings)["spec"]["template"]["spec"]


def test_a_build_of_no_platform_runs_on_any_node_of_linux():
    pod = pod_for(None)
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert "affinity" not in pod


@pytest.mark.parametrize(
    ("platform", "nodes"),
    [
        ("linux/amd64", ["amd64"]),
        ("linux/amd64/v3", ["amd64"]),
        ("linux/arm64", ["arm64"]),
        ("linux/arm/v7", ["arm", "arm64"]),
        ("linux/386", ["386", "amd64"]),
    ],
)
def test_nodes_that_run_the_platforms_programs_are_preferred(platform, nodes):
    pod = pod_for(platform)
    (preferred,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (match,) = preferred["preference"]["matchExpressions"]
    assert match == {"key": "kubernetes.io/arch", "operator": "In", "values": nodes}
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in pod["affinity"]["nodeAffinity"]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_a_platform_team_may_want_no_others():
    pod = pod_for("linux/arm64", replace(SETTINGS, native_nodes_only=True))
    ((kind, demanded),) = pod["affinity"]["nodeAffinity"].items()
    assert kind == "requiredDuringSchedulingIgnoredDuringExecution"
    (term,) = demanded["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["arm64"]


def test_the_builder_gets_it():
    foreign = SPEC.model_copy(update={"platform": "linux/arm64"})
    assert request_for(SPEC, "team", SETTINGS).platform is None
    assert request_for(foreign, "team", SETTINGS).platform == "linux/arm64"
