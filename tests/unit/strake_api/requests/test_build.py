"""BuildRequest: strict, and made from a spec."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.cache import BuildCache
from strake_api.conversion import MountedPaths, build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.models.source import DirectorySource, GitSource, InlineSource
from strake_api.requests.base import Registries
from strake_api.requests.build import BuildRequest


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
        spec, mounted=MountedPaths("/ctx"), work_directory="/work", registries=Registries(push_config="/p")
    )
    assert made.source.chosen == chosen
    assert (made.timeout_seconds, made.target) == (120, "t")
    assert made.registries.push_config == "/p"


def test_a_spec_says_the_form_of_the_image():
    form = {
        "compression": "zstd",
        "compressionLevel": 7,
        "mediaTypes": "oci",
        "labels": {"l": "1"},
        "annotations": {"a": "2"},
        "sourceDateEpoch": 5,
        "reproducible": True,
    }
    spec = ImageBuildSpec.model_validate(
        {"source": {"inline": {"Dockerfile": "x"}}, "output": {"destinations": ["r.example/a"], **form}}
    )
    made = build_request(spec, mounted=MountedPaths("/c"), work_directory="/w", registries=Registries())
    assert form.items() <= made.output.to_dict().items()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_cache_that_is_only_read_is_not_written(read_only):
    cache = {"repository": "r.example/cache", "readOnly": read_only}
    spec = ImageBuildSpec.model_validate(
        {
            "source": {"inline": {"Dockerfile": "x"}},
            "output": {"destinations": ["r.example/a"]},
            "cache": cache,
        }
    )
    made = build_request(spec, mounted=MountedPaths("/c"), work_directory="/w", registries=Registries())
    assert made.cache.writes is not read_only


@pytest.mark.parametrize(
    ("mounts", "kept", "limit"),
    [
        (None, True, 2 << 30),
        ({"enabled": False}, False, 2 << 30),
        ({"maxSize": "500Mi"}, True, 500 << 20),
        ({"maxSize": "64Gi"}, True, 64 << 30),
    ],
)
def test_what_becomes_of_cache_mounts(mounts, kept, limit):
    spec = ImageBuildSpec.model_validate(
        {
            "source": {"inline": {"Dockerfile": "x"}},
            "output": {"destinations": ["r.example/a"]},
            "cache": {"repository": "r.example/cache"} | ({"mounts": mounts} if mounts else {}),
        }
    )
    made = build_request(spec, mounted=MountedPaths("/c"), work_directory="/w", registries=Registries())
    assert (made.cache.mounts, made.cache.mount_limit) == (kept, limit)


@pytest.mark.parametrize("size", ["0", "-1Gi", "much", "65Gi", ""])
def test_a_size_of_cache_mounts_that_is_none_is_refused(size):
    with pytest.raises(ValidationError, match=r"cache\.mounts\.maxSize is a size such as 500Mi"):
        BuildCache.model_validate({"mounts": {"maxSize": size}})


@pytest.mark.parametrize(
    ("output", "found", "epoch"),
    [
        ({}, None, None),
        ({}, 7, 7),
        ({}, 0, 0),
        ({"reproducible": True}, None, 0),
        ({"reproducible": True}, 7, 7),
        ({"reproducible": True, "sourceDateEpoch": 9}, None, 9),
        ({"sourceDateEpoch": 9}, 7, 9),
        ({"sourceDateEpoch": 0}, 7, 0),
    ],
)
def test_which_time_counts(output, found, epoch):
    made = BuildRequest.model_validate(request(output={"destinations": [], **output}))
    assert made.epoch(found) == epoch


@pytest.mark.parametrize(("seconds", "value"), [(7, "7"), (0, "0"), (None, "")])
def test_a_name_in_the_argument_gives_way_to_the_time_of_what_it_names(seconds, value):
    args = [{"name": "A", "value": "context"}, {"name": "SOURCE_DATE_EPOCH", "value": "context"}]
    made = BuildRequest.model_validate(request(args=args))
    assert [each.value for each in made.with_epoch_argument(seconds).args] == ["context", value]


def test_an_epoch_that_is_no_number_and_no_name_is_refused():
    with pytest.raises(ValidationError, match="SOURCE_DATE_EPOCH"):
        BuildRequest.model_validate(request(args=[{"name": "SOURCE_DATE_EPOCH", "value": "-1"}]))
