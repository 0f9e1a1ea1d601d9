"""The generated definition: up to date, structural, and as a kubectl user expects it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from strake_api.crd.definition import (
    UnknownKeywordError,
    build_policy_definition,
    image_build_definition,
    schema_of,
)

ROOT = Path(__file__).parents[4]


def schemas(node):
    """Yield every schema of a definition."""
    yield node
    for child in node.get("properties", {}).values():
        yield from schemas(child)
    for word in ("items", "additionalProperties"):
        if word in node:
            yield from schemas(node[word])


def version():
    (only,) = image_build_definition()["spec"]["versions"]
    return only


def test_the_file_is_what_the_models_say():
    done = subprocess.run(
        [sys.executable, ROOT / "crds/generate.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_policies_are_a_definition_too():
    definition = build_policy_definition()
    assert yaml.safe_load((ROOT / "crds/buildpolicies.yaml").read_text()) == definition
    assert definition["spec"]["scope"] == "Cluster"
    (only,) = definition["spec"]["versions"]
    spec = only["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert [name for name, field in spec["properties"].items() if not field.get("description")] == []
    for schema in schemas(only["schema"]["openAPIV3Schema"]):
        assert not {"$ref", "title", "const", "$defs"} & schema.keys()


def test_the_file_is_a_definition():
    assert yaml.safe_load((ROOT / "crds/imagebuilds.yaml").read_text()) == image_build_definition()


def test_the_schema_is_structural():
    for schema in schemas(version()["schema"]["openAPIV3Schema"]):
        assert not {"$ref", "title", "const", "$defs", "discriminator"} & schema.keys()
        assert "type" in schema or schema.get("x-kubernetes-int-or-string")


def test_no_default_is_null():
    """The API server takes such a definition once, and refuses it when it is applied again."""
    assert "null" not in (ROOT / "crds/imagebuilds.yaml").read_text().replace("null character", "").split()


def test_every_field_is_explained_or_obvious():
    spec = version()["schema"]["openAPIV3Schema"]["properties"]["spec"]
    unexplained = [name for name, field in spec["properties"].items() if "description" not in field]
    assert unexplained == []


def test_columns_and_names():
    spec = image_build_definition()["spec"]
    assert spec["names"]["shortNames"] == ["ib"]
    assert spec["names"]["categories"] == ["all"]
    columns = [
        (column["name"], column.get("priority", 0)) for column in version()["additionalPrinterColumns"]
    ]
    assert columns == [
        ("Phase", 0),
        ("Reason", 0),
        ("Image", 0),
        ("Age", 0),
        ("Digest", 1),
        ("Isolation", 1),
        ("Duration", 1),
        ("Message", 1),
    ]


def test_a_build_that_nobody_has_seen_says_so():
    status = version()["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["default"] == {"observedGeneration": -1}
    assert version()["subresources"] == {"status": {}}


def test_what_cannot_be_carried_over_is_an_error():
    class Odd(BaseModel):
        pair: tuple[int, str]

    with pytest.raises(UnknownKeywordError, match="prefixItems"):
        schema_of(Odd, defaults=True)
