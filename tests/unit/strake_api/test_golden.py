"""What API servers once accepted stays valid: ImageBuilds that are kept, and each rule of earlier schemas.

An ImageBuild that is stored is read by every later operator, and checked against the schema of the day when somebody
changes it. So a schema may allow more from version to version, and never less.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from strake_api.buildpolicy import BuildPolicySpec
from strake_api.imagebuild import ImageBuild
from tests.helm.earlier import earlier, schema

CHART = Path(__file__).parents[3] / "charts/strake"
GOLDEN = Path(__file__).parents[2] / "golden"
BUILDS = list(yaml.safe_load_all((GOLDEN / "imagebuilds.yaml").read_text()))
POLICIES = list(yaml.safe_load_all((GOLDEN / "buildpolicies.yaml").read_text()))
PARTS = [("imagebuilds", "spec"), ("imagebuilds", "status"), ("buildpolicies", "spec")]
"""What is stored: resource, part."""
OF_KUBERNETES = ".pod.affinity."
"""Fields that are Kubernetes' own, of which one stands for all."""
OF_LATER_FIELDS = {
    "!has(self.platform) || !has(self.platforms) || self.platforms.size() == 0": "platforms",
    "!has(self.platforms) || self.platforms.size() == 0 || !has(self.pod) || !has(self.pod.nodeSelector)"
    " || !('kubernetes.io/arch' in self.pod.nodeSelector)": "platforms",
    "self.mediaTypes != 'docker' || !has(self.attestations) || self.attestations.form != 'index'"
    " || self.attestations.provenance == 'none' && !has(self.attestations.sbom)": "attestations.sbom",
    "(has(self.secretRef) ? 1 : 0) + (has(self.kms) ? 1 : 0) + (has(self.keyless) ? 1 : 0) == 1": "sign.kms",
    "!has(self.keyless) || self.form != 'legacy'": "sign.keyless",
    "!has(self.args) || self.args.all(arg, arg.name != 'SOURCE_DATE_EPOCH' || !has(arg.value)"
    " || arg.value == '' || arg.value.matches('^[0-9]{1,11}$|^[0-9][0-9._/:@-]{0,99}[A-Za-z]|^[A-Za-z]'))": (
        "names as values, which it allows"
    ),
}
"""Rules that came with a field, each with that field, or that were written anew for it: no earlier ImageBuild has it."""
_LEAST = ("minimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "maxLength", "maxItems", "maxProperties")


def leaves(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the paths of all fields that have no fields of their own."""
    if schema.get("properties"):
        for name, each in schema["properties"].items():
            yield from leaves(each, f"{path}.{name}")
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], path)
    else:
        yield path


def written(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what an object has, and of all that is around it."""
    yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from written(each, f"{path}.{name}")
    elif isinstance(value, list):
        for each in value:
            yield from written(each, path)


def stricter(old: dict[str, Any], new: dict[str, Any], path: str = "spec") -> Iterator[str]:
    """Yield what an earlier schema allows and a later one does not, or may not."""
    for told in (*limits(old, new), *rules(old, new)):
        yield f"{path}: {told}"
    for name, each in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}.{name}: is gone"
        else:
            yield from stricter(each, new["properties"][name], f"{path}.{name}")
    for word in ("items", "additionalProperties"):
        if isinstance(old.get(word), dict):
            yield from stricter(old[word], new.get(word, {}), f"{path}[]")


def limits(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield where the values of one field are limited more."""
    for word in ("type", "pattern", "format"):
        if new.get(word) not in {None, old.get(word)}:
            yield f"{word} is {new[word]!r}, and was {old.get(word)!r}"
    for word in _LEAST:
        if new.get(word, 0) > old.get(word, 0):
            yield f"{word} is {new[word]}, and was {old.get(word)}"
    for word in _MOST:
        if word in new and new[word] < old.get(word, float("inf")):
            yield f"{word} is {new[word]}, and was {old.get(word)}"


def rules(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """Yield which choices of one field are gone, and what else is asked of it."""
    if "enum" in new and not set(old.get("enum", ["anything"])) <= set(new["enum"]):
        yield f"enum is {new['enum']}, and was {old.get('enum')}"
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{name} is required"
    known = {each["rule"] for each in old.get("x-kubernetes-validations", ())}
    for each in new.get("x-kubernetes-validations", ()):
        if each["rule"] not in known and each["rule"] not in OF_LATER_FIELDS:
            yield f"a new rule: {each['rule']}"


@pytest.mark.parametrize("document", BUILDS, ids=[each["metadata"]["name"] for each in BUILDS])
def test_a_build_is_valid_and_nothing_of_it_is_lost(document):
    read = ImageBuild.model_validate(document)
    again = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert ImageBuild.model_validate(again) == read
    assert set(written(again["spec"])) == set(written(document["spec"]))


@pytest.mark.parametrize("document", POLICIES, ids=[each["metadata"]["name"] for each in POLICIES])
def test_a_policy_is_valid_and_nothing_of_it_is_lost(document):
    read = BuildPolicySpec.model_validate(document["spec"])
    again = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert BuildPolicySpec.model_validate(again) == read
    assert set(written(again)) == set(written(document["spec"]))


@pytest.mark.parametrize(("resource", "documents"), [("imagebuilds", BUILDS), ("buildpolicies", POLICIES)])
def test_every_field_is_in_one_of_them(resource, documents):
    found = {path for document in documents for path in written(document["spec"])}
    wanted = {path for path in leaves(schema(CHART, resource)) if not path.startswith(OF_KUBERNETES)}
    assert wanted - found == set(), f"add an object with these fields to tests/golden/{resource}.yaml"
    assert len(wanted) > 50


@pytest.mark.parametrize(("resource", "part"), PARTS)
def test_the_schema_allows_what_the_last_release_allowed(tmp_path, resource, part):
    before = earlier(tmp_path)
    found = stricter(schema(before.chart, resource, part), schema(CHART, resource, part), part)
    assert list(found) == [], f"against {before.what}"


@pytest.mark.parametrize(("resource", "part"), PARTS)
def test_the_schema_allows_what_the_first_one_allowed(tmp_path, resource, part):
    old = schema(earlier(tmp_path, root=tmp_path).chart, resource, part)
    assert len(list(leaves(old))) > 30
    assert list(stricter(old, schema(CHART, resource, part), part)) == []


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({"type": "integer"}, "type is 'integer', and was 'string'"),
        ({"type": "string", "pattern": "^a$"}, "pattern is '^a$', and was None"),
        ({"type": "string", "maxLength": 9}, "maxLength is 9, and was 10"),
        ({"type": "string", "minLength": 2, "maxLength": 10}, "minLength is 2, and was None"),
        ({"type": "string", "maxLength": 10, "enum": ["a"]}, "enum is ['a'], and was ['a', 'b']"),
        ({"x-kubernetes-validations": [{"rule": "self != ''"}]}, "a new rule: self != ''"),
    ],
)
def test_a_field_that_allows_less_is_told(new, told):
    old = {"type": "string", "maxLength": 10, "enum": ["a", "b"]}
    assert told in "\n".join(stricter({"properties": {"x": old}}, {"properties": {"x": new}}))


def test_a_field_that_is_gone_or_must_be_there_is_told():
    found = set(stricter({"properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}))
    assert found == {"spec: b is required", "spec.a: is gone"}
    assert list(stricter({"properties": {}}, {"properties": {"b": {"type": "string"}}})) == []
