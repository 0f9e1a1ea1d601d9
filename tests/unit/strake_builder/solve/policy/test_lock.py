"""What a lock has of what a build was made from."""

from __future__ import annotations

import pytest

from strake_api.models.source_policy import SourcePolicy
from strake_builder.attestations.facts import ArtifactMaterial, FileMaterial, GitMaterial, ImageMaterial
from strake_builder.solve.policy.engine import SourceIdentity, evaluate
from strake_builder.solve.policy.lock import locked
from strake_builder.solve.policy.sources import git_identity
from strake_oci.spec.digest import Digest

DIGEST = Digest.sha256(b"x")
SUM = f"sha256:{'1' * 64}"
COMMIT = "c" * 40


@pytest.mark.parametrize(
    ("material", "asked", "found"),
    [
        (
            ImageMaterial("alpine", DIGEST),
            SourceIdentity("docker-image://docker.io/library/alpine:latest"),
            SourceIdentity(f"docker-image://docker.io/library/alpine:latest@{DIGEST}"),
        ),
        (
            FileMaterial("https://a.example/b?c=d", SUM),
            SourceIdentity("https://a.example/b?c=d"),
            SourceIdentity("https://a.example/b?c=d", {"http.checksum": SUM}),
        ),
        (
            GitMaterial("https://a.example/b.git", COMMIT, "main", "sub"),
            git_identity("https://a.example/b.git", "main", "sub"),
            SourceIdentity(f"git://a.example/b.git#{COMMIT}:sub", {"git.fullurl": "https://a.example/b.git"}),
        ),
        (
            GitMaterial("git@a.example:b.git", COMMIT),
            git_identity("git@a.example:b.git", "", ""),
            SourceIdentity(f"git://git@a.example/b.git#{COMMIT}", {"git.fullurl": "git@a.example:b.git"}),
        ),
    ],
)
def test_a_lock_pins(material, asked, found):
    lock = locked(None, [material, material])
    assert len(lock.rules) == 1
    assert evaluate((lock,), asked) == found
    assert evaluate((lock,), found) == found, "a build of what is pinned changes nothing"


@pytest.mark.parametrize(
    "material",
    [
        ImageMaterial(f"alpine@{DIGEST}", DIGEST),
        ImageMaterial("oci-layout:///path", DIGEST),
        ArtifactMaterial("a.example/b:1", DIGEST),
        FileMaterial("https://user:password@a.example/b", SUM),
        FileMaterial("https://a.example/b", "sha512:1"),
        GitMaterial("https://u:p@a.example/b.git", COMMIT, "main"),
        GitMaterial("https://a.example/b.git", COMMIT, COMMIT),
    ],
)
def test_what_needs_no_pin_or_can_have_none(material):
    assert locked(None, [material]).rules == ()


def test_what_was_pinned_stays_and_what_is_new_comes_behind_it():
    first = locked(None, [ImageMaterial("b", DIGEST)])
    again = locked(first, [ImageMaterial("a", DIGEST), ImageMaterial("b", Digest.sha256(b"y"))])
    assert again.rules[0] == first.rules[0]
    assert [each.selector.identifier for each in again.rules[1:]] == [
        "docker-image://docker.io/library/a:latest"
    ]
    assert SourcePolicy.model_validate_json(again.to_json()) == again
