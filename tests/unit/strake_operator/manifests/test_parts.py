"""The Jobs of a run of several platforms: what each is asked to do, what it gets, and where it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_api.models.source_policy import SourcePolicy
from strake_api.requests.build import BuildRequest
from strake_api.requests.index import IndexRequest
from strake_api.requests.kinds import parse_request
from strake_api.requests.sources import SourceRequest
from strake_api.result import ResolvedSource
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_config_map
from strake_operator.parts import IndexPart, Part, PlatformDigest, PlatformPart, SourcePart
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import SETTINGS

COMMIT = "c" * 40
ONE, TWO, THREE = (f"sha256:{each * 64}" for each in "123")
SPEC = ImageBuildSpec.model_validate(
    {
        "source": {"git": {"url": "https://git.example/app", "ref": "main", "secret": {"name": "git-key"}}},
        "platforms": ["linux/amd64", "linux/arm64", "linux/arm/v7"],
        "output": {
            "destinations": ["r.example/app:{branch}-{shortRevision}"],
            "sign": {"secretRef": {"name": "sign-me"}},
            "annotations": {"a": "b"},
        },
        "pushSecret": {"name": "push-me"},
        "args": [{"name": "V", "valueFrom": {"secretKeyRef": {"name": "arg", "key": "k"}}}],
        "secrets": [{"id": "npm", "secretRef": {"name": "npm", "key": "k"}}],
        "resources": {"requests": {"cpu": "8"}},
        "pod": {"workspace": {"sizeLimit": "1Gi"}, "nodeSelector": {"pool": "builds"}},
    }
)
ARM64 = PlatformPart("linux/arm64", (ResolvedSource(revision=COMMIT),))
INDEX = IndexPart(
    (PlatformDigest("linux/amd64", ONE, THREE), PlatformDigest("linux/arm64", TWO)), revision=COMMIT
)


def run_of(part: Part) -> RunIdentity:
    return RunIdentity("team", "hello", "uid-1", 3, 1, "hello-abc-3-x", part=part)


def request_of(part: Part, spec=SPEC):
    return parse_request(request_config_map(run_of(part), spec, SETTINGS)["data"]["request.json"])


def pod_of(part: Part, spec=SPEC, settings=SETTINGS) -> dict[str, Any]:
    pod: dict[str, Any] = builder_job(run_of(part), spec, settings)["spec"]["template"]["spec"]
    return pod


def secrets_in(value: Any) -> set[str]:
    """Return the Secrets that volumes have."""
    found = set()
    for volume in value["volumes"]:
        sources = [volume, *(volume.get("projected") or {}).get("sources", ())]
        for secret in (each.get("secret") for each in sources):
            if secret is not None:
                found.add(secret.get("secretName") or secret.get("name"))
    return found


def test_a_platform_is_built_from_what_was_resolved_and_pushed_by_digest():
    request = instance(request_of(ARM64), BuildRequest)
    assert request.platform == "linux/arm64"
    assert request.output.by_digest
    assert present(request.source.git).commit == COMMIT


def test_sources_are_resolved_as_a_build_would_fetch_them():
    request, build = (
        instance(request_of(SourcePart()), SourceRequest),
        instance(request_of(ARM64), BuildRequest),
    )
    pin = {"commit": COMMIT, "resolved": True}
    assert present(request.source.git).model_copy(update=pin) == build.source.git
    assert request.registries.gateway == build.registries.gateway


def test_what_a_policy_denies_is_not_asked_for_by_the_part_that_resolves():
    rule = {"selector": {"identifier": "git://git.example/*"}, "action": "DENY"}
    settings = replace(SETTINGS, source_policies=(SourcePolicy.model_validate({"rules": [rule]}),))
    made = request_config_map(run_of(SourcePart()), SPEC, settings)["data"]["request.json"]
    assert instance(parse_request(made), SourceRequest).source_policies == settings.source_policies


def test_the_index_is_of_what_the_platforms_pushed():
    request = instance(request_of(INDEX), IndexRequest)
    assert [(each.platform, each.digest) for each in request.images] == [
        ("linux/amd64", ONE),
        ("linux/arm64", TWO),
    ]
    assert request.output.destinations == ("r.example/app:main-{shortRevision}",)
    assert request.output.annotations == {"a": "b"}
    assert (request.output.sign is not None, request.revision) == (True, COMMIT)


@pytest.mark.parametrize(
    ("form", "signed", "expected"),
    [
        ("referrers", {}, None),
        ("referrers", {"sign": {"secretRef": {"name": "key"}}}, THREE),
        ("index", {}, THREE),
    ],
)
def test_the_index_is_told_of_attestations_that_it_lists_or_is_signed_with(form, signed, expected):
    output = {**SPEC.to_dict()["output"], "attestations": {"form": form}}
    output.pop("sign", None)
    spec = ImageBuildSpec.model_validate({**SPEC.to_dict(), "output": {**output, **signed}})
    image = instance(request_of(INDEX, spec), IndexRequest).images[0]
    assert (image.attestation, image.attestation_form) == (expected, form)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (SourcePart(), {"git-key", "push-me"}),
        (ARM64, {"git-key", "push-me", "sign-me", "npm", "arg"}),
        (INDEX, {"push-me", "sign-me"}),
    ],
)
def test_a_job_has_the_secrets_that_its_part_needs(part, expected):
    assert secrets_in(pod_of(part)) == expected


def test_an_index_needs_little_of_its_node():
    (container,) = pod_of(INDEX)["containers"]
    assert container["resources"]["requests"]["cpu"] == SETTINGS.resources.cpu_request
    names = {each["name"] for each in pod_of(INDEX)["initContainers"]}
    assert names == {"gateway"}, "nothing is fetched"


@pytest.mark.parametrize(
    ("platform", "nodes"),
    [("linux/arm64", ["arm64"]), ("linux/amd64", ["amd64"]), ("linux/arm/v7", ["arm", "arm64"])],
)
def test_a_platform_must_have_a_node_of_its_own(platform, nodes):
    pod = pod_of(PlatformPart(platform))
    assert pod["nodeSelector"] == {"pool": "builds", "kubernetes.io/os": "linux"}
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/arch", "operator": "In", "values": nodes}]


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8"])
def test_an_emulated_platform_rather_has_one(platform):
    settings = replace(SETTINGS, emulated_platforms=("linux/arm64",))
    affinity = pod_of(PlatformPart(platform), settings=settings)["affinity"]["nodeAffinity"]
    assert list(affinity) == ["preferredDuringSchedulingIgnoredDuringExecution"]


@pytest.mark.parametrize("part", [SourcePart(), INDEX])
def test_what_runs_no_step_runs_on_any_node(part):
    assert "affinity" not in pod_of(part)


@pytest.mark.parametrize(
    ("part", "label"), [(SourcePart(), "source"), (ARM64, "linux-arm64"), (INDEX, "index")]
)
def test_a_job_and_its_pod_say_which_part_they_are(part, label):
    job = builder_job(run_of(part), SPEC, SETTINGS)
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert metadata["labels"]["strake.dev/part"] == label
