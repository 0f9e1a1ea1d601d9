"""BuildRequest: strict, and made from a spec."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.conversion import build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.request import BuildRequest, DirectorySource, GitSource, InlineSource, Registries


def request(**changes):
    return {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "BuildRequest",
        "source": {"directory": {"path": "/context"}},
        "output": {"destinations": ["r.example/a:1"]},
        "workDirectory": "/work",
        **changes,
    }


def test_round_trip():
    parsed = BuildRequest.model_validate(request(args=[{"name": "A", "value": "1"}]))
    assert BuildRequest.model_validate_json(parsed.to_json()) == parsed


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "strake.dev/v2"},
        {"kind": "Other"},
        {"unknown": 1},
        {"workDirectory": "relative"},
        {"source": {"directory": {"path": "relative"}}},
        {"source": {}},
        {"timeoutSeconds": 0},
        {"registries": {"pushConfig": "config.json"}},
    ],
    ids=str,
)
def test_refused(change):
    with pytest.raises(ValidationError):
        BuildRequest.model_validate(request(**change))


@pytest.mark.parametrize(
    ("source", "chosen"),
    [
        ({"git": {"url": "https://x.example/y"}}, GitSource(url="https://x.example/y")),
        ({"configMap": {"name": "c"}}, DirectorySource(path="/ctx")),
        ({"inline": {"Dockerfile": "x"}}, InlineSource(files={"Dockerfile": "x"})),
    ],
)
def test_from_a_spec(source, chosen):
    spec = ImageBuildSpec.model_validate(
        {"source": source, "output": {"destinations": ["r.example/a"]}, "timeout": "2m", "target": "t"}
    )
    made = build_request(
        spec, config_map_directory="/ctx", work_directory="/work", registries=Registries(insecure=("r:5000",))
    )
    assert made.source.chosen == chosen
    assert (made.timeout_seconds, made.target) == (120, "t")
    assert made.registries.insecure == ("r:5000",)
