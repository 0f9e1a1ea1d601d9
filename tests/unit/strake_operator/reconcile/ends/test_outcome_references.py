"""The references that a result names, against the destinations of the spec."""

from __future__ import annotations

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed, BuildSucceeded
from strake_operator.reconcile.ends.outcome import outcome
from tests.fixtures.narrow import instance
from tests.unit.strake_operator.builders import DIGEST, SPEC, SUCCESS, ended, pod, run

FIELDS = ["r.example/a:{branch}-{timestamp}", "r.example/b"]


@pytest.mark.parametrize(
    ("references", "good"),
    [
        (["r.example/a:main-1769909400", "r.example/b:latest"], True),
        ([], True),
        (["r.example/a:main"], False),
        (["r.example/a:latest"], False),
        (["r.example/b:1"], False),
        (["r.example/c:latest"], False),
        (["r.example/a:{branch}-{timestamp}"], False),
        (["evil"], False),
    ],
)
def test_a_result_names_tags_that_the_destinations_can_become(references, good):
    spec = SPEC.model_copy(update={"output": SPEC.output.model_copy(update={"destinations": tuple(FIELDS)})})
    digest = f"sha256:{'0' * 64}"
    made = BuildSucceeded(digest=digest, images=(f"r.example/a@{digest}",), references=tuple(references))
    found = outcome(run(pod=pod(ended(made.to_json(), exit_code=0))), spec)
    assert isinstance(found, BuildSucceeded if good else BuildFailed)
    if isinstance(found, BuildFailed):
        assert "no such repository or tag" in found.message


IMAGES = (f"r.example:5000/app@{DIGEST}", f"r.example/copy@{DIGEST}")


def test_images_at_the_destinations_are_believed():
    for images in ((), IMAGES[:1], IMAGES):
        words = SUCCESS.model_copy(update={"images": images}).to_json()
        assert (
            instance(outcome(run(pod=pod(ended(words, exit_code=0))), SPEC), BuildSucceeded).images == images
        )


@pytest.mark.parametrize(
    "image",
    [
        f"r.example:5000/other@{DIGEST}",
        f"evil.example/app@{DIGEST}",
        f"r.example:5000/app@sha256:{'e' * 64}",
        "r.example:5000/app:1",
        "",
    ],
)
def test_an_image_elsewhere_is_an_invalid_result(image):
    words = SUCCESS.model_copy(update={"images": (*IMAGES, image)}).to_json()
    result = instance(outcome(run(pod=pod(ended(words, exit_code=0))), SPEC), BuildFailed)
    assert result.reason is FailureReason.INTERNAL_ERROR
    assert "destinations" in result.message
