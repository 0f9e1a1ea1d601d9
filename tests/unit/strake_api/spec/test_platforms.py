"""What an image may be for: one platform, or several."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.conversion import MountedPaths, build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.base import Registries
from tests.unit.strake_api.specs import refusal, spec


@pytest.mark.parametrize("good", ["linux/amd64", "linux/amd64/v3", "linux/arm/v7", "linux/arm64/v8.2"])
def test_good_platforms(good):
    assert ImageBuildSpec.model_validate(spec(platform=good)).platform == good


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        ("linux/amd64,linux/arm64", "list several in platforms"),
        ("windows/amd64", "only images for Linux"),
        ("darwin", "only images for Linux"),
        ("linux", "written linux/ARCHITECTURE"),
        ("arm64", "written linux/ARCHITECTURE"),
        ("linux/x86_64", "architectures are 386, amd64"),
        ("linux/amd46", "architectures are 386, amd64"),
        ("linux/arm/", "written linux/ARCHITECTURE"),
        ("Linux/amd64", "written linux/ARCHITECTURE"),
        ("linux/amd64\n", "written linux/ARCHITECTURE"),
        ("", "written linux/ARCHITECTURE"),
    ],
)
def test_other_platforms_are_refused_with_one_sentence(platform, message):
    with pytest.raises(ValidationError) as caught:
        ImageBuildSpec.model_validate(spec(platform=platform))
    (error,) = caught.value.errors()
    assert message in error["msg"]


def test_several_platforms_are_asked_of_a_builder_together():
    made = ImageBuildSpec.model_validate(spec(platforms=["linux/arm64", "linux/amd64"]))
    request = build_request(made, mounted=MountedPaths("/c"), work_directory="/w", registries=Registries())
    assert request.platform == "linux/arm64,linux/amd64", "without a cluster one builder makes the index"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"platform": "linux/amd64", "platforms": ["linux/amd64"]}, "drop one of the two"),
        ({"platforms": ["linux/amd64", "linux/amd64"]}, "each platform once"),
        ({"platforms": ["linux/arm64", "linux/arm64/v8"]}, "each platform once"),
        ({"platforms": ["linux/amd64", "windows/amd64"]}, "only images for Linux"),
        ({"platforms": [f"linux/arm/v{n // 9}.{n % 9}" for n in range(17)]}, "at most 16"),
        (
            {"platforms": ["linux/amd64"], "pod": {"nodeSelector": {"kubernetes.io/arch": "amd64"}}},
            "drop kubernetes.io/arch from pod.nodeSelector",
        ),
    ],
)
def test_platforms_that_make_no_index_are_refused(changes, message):
    assert message in refusal(**changes)
