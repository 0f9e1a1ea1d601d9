"""The chart's values: each explained, typed and in the page; each setting of the operator among them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/strake"
PAGE = (ROOT / "docs/install.md").read_text()
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
WITHOUT_A_VALUE = {
    "STRAKE_BUILDER_IMAGE": "builderImage",
    "STRAKE_EVENTS_KEY_FILE": "the Secret of events.secretName is mounted where the operator looks for it",
    "STRAKE_REGISTRIES_FILE": "the file is made of registries",
    "STRAKE_IDENTITY": "the pod's name and UID",
    "STRAKE_LEASE": "the Role names the Lease",
    "STRAKE_LIVENESS": "the probe names the port",
    "STRAKE_METRICS": "likewise",
}
"""Settings of the operator that are no value of `settings`, with the reason."""


def variable(name: str) -> str:
    """Return the operator's variable for a value of `settings`."""
    return "STRAKE_" + re.sub(r"([A-Z])", r"_\1", name).upper()


def property_of(path: str):
    """Return the schema of a value, None where it has none."""
    schema = SCHEMA
    for name in path.split("."):
        schema = schema.get("properties", {}).get(name)
        if schema is None:
            return None
        if "$ref" in schema:
            schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def explained():
    return set(re.findall(r"^\| `([\w.]+)` \|", PAGE, re.MULTILINE))


def paths(values, prefix=""):
    """Yield the path of each value that is explained, or that has no names in it."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if path in explained() or not isinstance(value, dict) or not value:
            yield path
        else:
            yield from paths(value, f"{path}.")


def test_what_is_generated_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "charts/generate.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_value_is_explained_and_nothing_else():
    assert set(paths(VALUES)) == explained()


@pytest.mark.parametrize("path", sorted(explained()))
def test_every_value_has_a_type(path):
    schema = property_of(path)
    assert schema is not None
    assert "type" in schema or "enum" in schema or "properties" in schema


def test_every_type_is_of_a_value():
    groups = {path.rpartition(".")[0] for path in explained()}
    for group in groups:
        schema = property_of(group) if group else SCHEMA
        value = VALUES
        for name in group.split(".") if group else ():
            value = value[name]
        known = set(schema["properties"]) - ({"global"} if not group else set())
        assert known == set(value), f"{group or 'the values'}"


def test_no_object_with_names_takes_others():
    def closed(schema):
        if isinstance(schema, dict):
            if "properties" in schema and isinstance(schema["properties"], dict) and "type" in schema:
                assert schema["additionalProperties"] is False
            for each in schema.values():
                closed(each)

    closed(SCHEMA)


def test_every_setting_of_the_operator_is_a_value():
    listed = set(re.findall(r"^\| `(STRAKE_[A-Z_]+)`", (ROOT / "docs/operator.md").read_text(), re.MULTILINE))
    ours = {variable(name) for name in VALUES["settings"]}
    assert ours == listed - set(WITHOUT_A_VALUE)
    assert set(WITHOUT_A_VALUE) <= listed
    for name in WITHOUT_A_VALUE:
        assert f"`{name}`" in PAGE


def test_the_chart_sets_what_deploy_sets():
    (made,) = [
        dict(each.split("=", 1) for each in generated["literals"])
        for generated in yaml.safe_load((ROOT / "deploy/kustomization.yaml").read_text())[
            "configMapGenerator"
        ]
        if "literals" in generated
    ]
    for name, value in VALUES["settings"].items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        assert text == made[variable(name)], name


def commands():
    """Yield the commands of the page and the notes that call helm, as words."""
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words[:1] == ["helm"]:
                yield words


def test_the_page_has_commands():
    assert {words[1] for words in commands()} == {"install", "test", "upgrade", "uninstall", "template"}


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_a_command_names_values_that_there_are(words):
    for flag, value in pairwise(words):
        if flag in {"--set", "--set-json"}:
            assert value.partition("=")[0] in explained(), value
    assert not [each for each in words if each.startswith("charts/") and not (ROOT / each).exists()]


def test_the_values_on_the_page_are_values():
    (text,) = re.findall(r"```yaml\n# values.yaml\n(.*?)```", PAGE, re.DOTALL)

    def known(values, prefix=""):
        for name, value in values.items():
            path = f"{prefix}{name}"
            assert property_of(path) is not None, path
            if path not in explained():
                known(value, f"{path}.")

    known(yaml.safe_load(text))


def test_other_values_that_the_page_names_are_there():
    named = set(re.findall(r"`((?:settings|crds|seccompProfile|events|registries)\.\w+)(?:=\w+)?`", PAGE))
    assert named
    assert named <= explained()
