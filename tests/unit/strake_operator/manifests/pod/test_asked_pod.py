"""What a spec says about its pod, as it gets into the Job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strake_api.requests.build import BuildRequest
from strake_api.spec.pod.pod import BuilderPod
from strake_operator.isolation import PodForm
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_config_map
from strake_operator.registries.document import PlatformRegistries
from tests.unit.strake_operator.builders import SETTINGS, SPEC
from tests.unit.strake_operator.manifests.test_manifests import FULL, RUN

NODES = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def with_pod(base=SPEC, /, **pod):
    return base.model_copy(update={"pod": BuilderPod.model_validate(pod)})


def template_of(spec, run=RUN, settings=SETTINGS):
    return builder_job(run, spec, settings)["spec"]["template"]


def request_of(spec, run=RUN, settings=SETTINGS):
    return BuildRequest.model_validate_json(request_config_map(run, spec, settings)["data"]["request.json"])


def test_placement_is_the_pods():
    asked = {
        "nodeSelector": {"pool": "builds"},
        "tolerations": [{"key": "builds", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "priorityClassName": "low",
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example"]}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    }
    pod = template_of(with_pod(**asked))["spec"]
    assert pod["nodeSelector"] == {"pool": "builds", "kubernetes.io/os": "linux"}
    assert {name: pod[name] for name in asked if name != "nodeSelector"} == {
        name: each for name, each in asked.items() if name != "nodeSelector"
    }


def test_strakes_own_labels_and_annotations_come_last():
    asked = template_of(with_pod(labels={"team": "one"}, annotations={"note": "x"}))["metadata"]
    plain = template_of(SPEC)["metadata"]
    assert asked["labels"] == {"team": "one", **plain["labels"]}
    assert asked["annotations"] == {"note": "x", **plain["annotations"]}


def test_the_job_and_its_config_map_have_no_labels_of_the_author():
    spec = with_pod(labels={"team": "one"})
    for made in (builder_job(RUN, spec, SETTINGS), request_config_map(RUN, spec, SETTINGS)):
        assert made["metadata"]["labels"] == RUN.labels()


def terms(*keys):
    return [{"matchExpressions": [{"key": key, "operator": "Exists"}]} for key in keys]


def test_an_affinity_and_a_platform_both_hold():
    asked: dict[str, Any] = {
        "nodeAffinity": {
            NODES: {"nodeSelectorTerms": terms("ssd", "nvme")},
            PREFERRED: [{"weight": 5, "preference": terms("cheap")[0]}],
        },
        "podAntiAffinity": {NODES: [{"topologyKey": "kubernetes.io/hostname"}]},
    }
    spec = with_pod(SPEC.model_copy(update={"platform": "linux/arm64"}), affinity=asked)
    found = template_of(spec)["spec"]["affinity"]
    assert found["podAntiAffinity"] == asked["podAntiAffinity"]
    assert found["nodeAffinity"][NODES] == asked["nodeAffinity"][NODES]
    first, native = found["nodeAffinity"][PREFERRED]
    assert first == asked["nodeAffinity"][PREFERRED][0]
    assert native["preference"]["matchExpressions"][0]["values"] == ["arm64"]


def test_each_term_asks_for_the_platform_where_no_other_node_will_do():
    asked = {"nodeAffinity": {NODES: {"nodeSelectorTerms": [*terms("ssd", "nvme"), {}]}}}
    spec = with_pod(SPEC.model_copy(update={"platform": "linux/arm64"}), affinity=asked)
    pod = template_of(spec, settings=replace(SETTINGS, native_nodes_only=True))["spec"]
    found = pod["affinity"]["nodeAffinity"][NODES]["nodeSelectorTerms"]
    assert [[each["key"] for each in term["matchExpressions"]] for term in found] == [
        ["ssd", "kubernetes.io/arch"],
        ["nvme", "kubernetes.io/arch"],
    ]


def test_pull_secrets_of_the_builder_and_of_bases_are_one_list():
    spec = with_pod(FULL, imagePullSecrets=[{"name": "ours"}, {"name": "pull-me"}])
    based = replace(RUN, bases=(f"r.example/base@sha256:{'0' * 64}",))
    assert template_of(spec, based)["spec"]["imagePullSecrets"] == [{"name": "ours"}, {"name": "pull-me"}]
    assert template_of(spec)["spec"]["imagePullSecrets"] == [{"name": "ours"}, {"name": "pull-me"}]


def work_of(spec, run=RUN):
    (volume,) = [each for each in template_of(spec, run)["spec"]["volumes"] if each["name"] == "work"]
    return volume


@pytest.mark.parametrize(
    ("workspace", "volume"),
    [
        ({"sizeLimit": "5Gi"}, {"emptyDir": {"sizeLimit": "5Gi"}}),
        ({"medium": "Memory"}, {"emptyDir": {"medium": "Memory"}}),
        ({"medium": "Memory", "sizeLimit": 1024}, {"emptyDir": {"medium": "Memory", "sizeLimit": "1024"}}),
        (
            {"storageClassName": "fast", "sizeLimit": "50Gi"},
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "storageClassName": "fast",
                            "resources": {"requests": {"storage": "50Gi"}},
                        }
                    }
                }
            },
        ),
    ],
)
def test_a_workspace_is_the_work_directory(workspace, volume):
    spec = with_pod(workspace=workspace)
    assert work_of(spec) == {"name": "work", **volume}
    mounts = {
        each["name"]: each["mountPath"] for each in template_of(spec)["spec"]["containers"][0]["volumeMounts"]
    }
    assert mounts["work"] == request_of(spec).work_directory


def test_a_chroot_cannot_use_a_workspace_and_the_status_says_so():
    spec = with_pod(workspace={"medium": "Memory"})
    chroot = replace(RUN, form=PodForm.CHROOT)
    assert "work" not in {each["name"] for each in template_of(spec, chroot)["spec"]["volumes"]}
    (warning,) = request_of(spec, chroot).warnings
    assert "spec.pod.workspace is not used" in warning
    assert request_of(spec).warnings == ()
    assert request_of(SPEC, chroot).warnings == ()


def test_steps_find_the_aliases():
    spec = with_pod(hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a.example"]}])
    (alias,) = request_of(spec).host_aliases
    assert (alias.ip, alias.hostnames) == ("10.0.0.1", ("a.example",))


OPEN = PlatformRegistries.model_validate(
    {
        "registries": {
            "plain.example": {"insecure": True, "insecureCredentials": True},
            "loose.example": {"insecureSkipTLSVerify": True},
        }
    }
)


@pytest.mark.parametrize(
    ("pod", "trusted"),
    [
        ({"hostAliases": [{"ip": "10.6.6.6", "hostnames": ["plain.example"]}]}, False),
        ({"dnsConfig": {"nameservers": ["10.6.6.6"]}}, False),
        ({"dnsConfig": {"searches": ["evil.example"]}}, False),
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}}, True),
        ({"labels": {"team": "one"}}, True),
    ],
)
def test_who_says_where_a_registry_is_gets_no_password_that_no_certificate_guards(pod, trusted):
    hosts = request_of(with_pod(FULL, **pod), settings=replace(SETTINGS, registries=OPEN)).registries.hosts
    assert hosts["plain.example"].insecure
    assert hosts["plain.example"].insecure_credentials is trusted
    assert hosts["loose.example"].insecure_skip_tls_verify is trusted
