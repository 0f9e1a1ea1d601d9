"""helm and kustomize install the same: each difference is here, with its reason."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.helm.charts import ROOT, Object, kustomized, rendered

_HASH = re.compile(r"-[a-z0-9]{10}$")
ONLY_DEPLOY = {
    ("Namespace", "", "strake-system"): "helm makes it: --create-namespace",
}
ONLY_CHART = {
    ("Pod", "strake-system", "strake-test"): "`helm test` runs it",
}
GENERATED = ("strake-operator", "strake-registries")
"""ConfigMaps whose names get a hash of their content from kustomize; the chart has it in an annotation of the pods."""


def plain(name: str) -> str:
    """Return the name of a ConfigMap without kustomize's hash."""
    bare = _HASH.sub("", name)
    return bare if bare in GENERATED else name


def bare(value: Any) -> Any:
    """Return a part of an object without what the two write differently, and mean the same by."""
    if isinstance(value, dict):
        return {word: bare(content) for word, content in value.items()}
    if isinstance(value, list):
        return [bare(each) for each in value]
    if isinstance(value, str):  # kustomize writes a folded text anew, with empty lines
        return plain(re.sub(r"\s+", " ", value).strip())
    return value


def content_of(each: Object) -> Object:
    """Return an object without the labels and annotations that helm adds to all, and the pods' hashes."""
    content = bare({word: part for word, part in each.items() if word != "metadata"})
    if each["kind"] == "Deployment":
        content["spec"]["template"]["metadata"].pop("annotations", None)
    if each["metadata"]["name"].startswith(
        "strake-registries"
    ):  # a YAML of its own, in deploy/ with comments
        content["data"] = {name: yaml.safe_load(text) for name, text in each["data"].items()}
    return content


@pytest.fixture(scope="module")
def deploy():
    found = kustomized(ROOT / "deploy")
    return {(kind, namespace, plain(name)): each for (kind, namespace, name), each in found.items()}


@pytest.fixture(scope="module")
def chart():
    return rendered()


def test_the_same_objects(deploy, chart):
    assert set(deploy) - set(chart) == set(ONLY_DEPLOY)
    assert set(chart) - set(deploy) == set(ONLY_CHART)


def test_the_same_content(deploy, chart):
    for key in deploy.keys() & chart.keys():
        assert content_of(chart[key]) == content_of(deploy[key]), key


def test_what_deploy_labels_has_its_labels(deploy, chart):
    for key in deploy.keys() & chart.keys():
        wanted = deploy[key]["metadata"].get("labels", {})
        assert wanted.items() <= chart[key]["metadata"]["labels"].items(), key


def test_another_namespace_is_the_same_with_its_name(chart):
    """Nothing has the namespace of deploy/ written into it."""
    other = rendered(namespace="builds-of-ours")
    assert {key[::2] for key in other} == {key[::2] for key in chart}
    assert "strake-system" not in str(other)
    for kind, namespace, name in chart:
        ours = "builds-of-ours" if namespace else ""
        changed = str(content_of(other[kind, ours, name]))
        assert changed.replace("builds-of-ours", "strake-system") == str(
            content_of(chart[kind, namespace, name])
        )


PARTS = [
    ("deploy/network/builders.yaml", "NetworkPolicy", "strake-builders"),
    ("deploy/network/operator.yaml", "NetworkPolicy", "strake-operator"),
    ("deploy/monitoring/podmonitor.yaml", "PodMonitor", "strake-operator"),
]


@pytest.mark.parametrize(("file", "kind", "name"), PARTS)
def test_a_part_that_is_off_is_the_same_when_it_is_on(tmp_path, file, kind, name):
    (tmp_path / "object.yaml").write_text((ROOT / file).read_text())
    (tmp_path / "kustomization.yaml").write_text("resources: [object.yaml]\n")
    (wanted,) = kustomized(tmp_path).values()
    on = ["networkPolicy.operator.enabled=true", "networkPolicy.builders.namespaces={builds}"]
    made = rendered(f"--set={','.join(on)},monitoring.podMonitor.enabled=true")
    (found,) = [each for (a_kind, _, a_name), each in made.items() if (a_kind, a_name) == (kind, name)]
    assert content_of(found) == content_of(wanted)


def test_the_profile_of_nodes_is_the_same():
    wanted = kustomized(ROOT / "deploy/seccomp")
    made = rendered("--set=seccompProfile.enabled=true")
    ours = {key: each for key, each in made.items() if key[1] == "strake-seccomp"}
    (config,) = [each for (kind, _, _), each in wanted.items() if kind == "ConfigMap"]
    assert ours["ConfigMap", "strake-seccomp", "profile"]["data"] == config["data"]
    key = ("DaemonSet", "strake-seccomp", "seccomp-profile")
    pods = [content_of(each)["spec"]["template"]["spec"] for each in (ours[key], wanted[key])]
    for pod in pods:
        pod["volumes"][0]["configMap"]["name"] = _HASH.sub("", pod["volumes"][0]["configMap"]["name"])
    assert pods[0] == pods[1]
