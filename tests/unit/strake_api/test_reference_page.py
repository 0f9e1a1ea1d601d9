"""docs/imagebuild.md and docs/operator.md name everything there is, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from strake_api.buildpolicy import BuildPolicySpec
from strake_api.crd.definition import build_policy_definition, image_build_definition
from strake_api.imagebuild import ImageBuild
from strake_api.reasons import FailureReason, ProgressReason
from strake_api.status import ConditionType, Phase

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/imagebuild.md").read_text()
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))


OF_PODS = {
    "pod.tolerations[]",
    "pod.affinity",
    "pod.topologySpreadConstraints[]",
    "pod.hostAliases[]",
    "pod.dnsConfig",
}
"""Fields that are shaped as in any pod: Kubernetes explains what is in them."""


def leaves(schema, path=""):
    """Yield the path of each field that holds a value, or that Kubernetes explains."""
    if path in OF_PODS:
        yield path
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], f"{path}[]")
    elif schema.get("properties"):
        for name, field in schema["properties"].items():
            yield from leaves(field, f"{path}.{name}" if path else name)
    else:
        yield path


def part(name):
    (version,) = image_build_definition()["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"][name]


@pytest.mark.parametrize("path", [*leaves(part("spec")), *leaves(part("status"))])
def test_every_field_is_explained(path):
    assert {path, path.removesuffix("[]")} & CODE


@pytest.mark.parametrize("word", [*ProgressReason, *FailureReason, *ConditionType])
def test_every_reason_and_condition_is_explained(word):
    assert word in CODE


def test_every_phase_is_named():
    assert ", ".join(Phase) in PAGE


def test_the_manifest_on_the_page_is_one():
    (manifest,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert ImageBuild.model_validate(yaml.safe_load(manifest)).metadata.name == "api"


def test_every_setting_is_explained():
    page = (ROOT / "docs/operator.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "operator").rglob("*.py"))
    used = set(re.findall(r'"(STRAKE_[A-Z_]+)"', sources))
    assert used
    assert used == set(re.findall(r"^\| `(STRAKE_[A-Z_]+)`", page, re.MULTILINE))


def policies():
    (version,) = build_policy_definition()["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize(
    "path", [each for each in leaves(policies()) if not each.startswith("namespaceSelector.")]
)
def test_every_field_of_a_policy_is_explained(path):
    page = (ROOT / "docs/operator.md").read_text()
    assert path.removesuffix("[]") in set(re.findall(r"`([^`\n]+)`", page))


def test_the_policy_on_the_page_is_one():
    page = (ROOT / "docs/operator.md").read_text()
    found = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (policy,) = (each for each in found if each.get("kind") == "BuildPolicy")
    assert BuildPolicySpec.model_validate(policy["spec"]).max_runs == 10


EXAMPLES = sorted((ROOT / "examples").glob("*/imagebuild.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_valid(example):
    documents = list(yaml.safe_load_all(example.read_text()))
    (manifest,) = [each for each in documents if each["kind"] == "ImageBuild"]
    assert ImageBuild.model_validate(manifest).metadata.name == example.parent.name
