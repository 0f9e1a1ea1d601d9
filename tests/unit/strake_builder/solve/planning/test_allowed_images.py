"""Which names of images a platform's rules allow."""

from __future__ import annotations

import pytest

from strake_api.reasons import FailureReason
from strake_api.requests.build import ImageRule
from strake_builder.errors import ForbiddenImageError
from strake_builder.solve.planning.allowed_images import check_allowed
from strake_oci.spec.reference import Reference

DIGEST = f"sha256:{'0' * 64}"
ANY = ImageRule(policy="any")
PINNED = ImageRule(policy="pinned", require_digest=True)


def rule(*names):
    return ImageRule(policy="golden", names=names)


@pytest.mark.parametrize(
    ("image", "rules", "words"),
    [
        ("alpine", [], None),
        ("alpine", [ANY], None),
        ("alpine", [rule("docker.io/library/*")], None),
        ("alpine", [rule("docker.io/library/alpine")], None),
        ("alpine", [rule("docker.io/library/alpine:latest")], None),
        ("index.docker.io/library/alpine", [rule("docker.io/library/alpine")], None),
        ("alpine:3", [rule("docker.io/library/alpine:3")], None),
        ("alpine:3", [rule("nothing", "docker.io/library/*:3")], None),
        (f"alpine@{DIGEST}", [rule(f"docker.io/library/alpine@{DIGEST}"), PINNED], None),
        (f"alpine:3@{DIGEST}", [rule("docker.io/library/alpine"), PINNED], None),
        ("alpine", [rule("alpine")], "golden forbids the image docker.io/library/alpine:latest"),
        ("alpine:3", [rule("docker.io/library/alpine:2")], "golden forbids"),
        (f"alpine:3@{DIGEST}", [rule("docker.io/library/alpine:3")], "golden forbids"),
        ("evil.example/docker.io/library/alpine", [rule("docker.io/library/*")], "golden forbids"),
        ("dockerxio/library/alpine", [rule("docker.io/library/*")], "golden forbids"),
        ("alpine", [rule()], "build FROM scratch"),
        ("alpine", [rule("docker.io/*"), PINNED], "has no digest"),
        ("alpine", [ANY, rule("r.example/*")], "build on one of r.example/*"),
    ],
)
def test_an_image_is_allowed_by_its_name(image, rules, words):
    refusal = None
    try:
        check_allowed(Reference.parse(image).with_default_tag(), rules)
    except ForbiddenImageError as error:
        refusal = error
    assert (refusal is None) == (words is None)
    if refusal is not None:
        assert words in str(refusal)
        assert refusal.reason is FailureReason.POLICY_DENIED
