"""What a build may ask of registries: a decision over method and path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_builder.gateway.errors import ForbiddenError, GatewayError, MalformedError
from strake_builder.gateway.policy import Kind, Policy, parse_target

DIGEST = "sha256:" + "a" * 64
KEY = "b" * 64
POLICY = Policy.of(
    ["r.example/team/app:1", "r.example/team/app:2", "s.example:5000/copy"], "r.example/cache", attests=True
)
APP, COPY, CACHE, OTHER = (
    "/r.example/v2/team/app",
    "/s.example:5000/v2/copy",
    "/r.example/v2/cache",
    "/r.example/v2/x",
)

ALLOWED = [
    ("GET", f"{OTHER}/manifests/latest"),
    ("HEAD", f"{OTHER}/blobs/{DIGEST}"),
    ("GET", f"{OTHER}/tags/list?n=5"),
    ("GET", f"{OTHER}/referrers/{DIGEST}?artifactType=x"),
    ("PUT", f"{APP}/manifests/1"),
    ("PUT", f"{APP}/manifests/2"),
    ("PUT", f"{APP}/manifests/{DIGEST}"),
    ("PUT", f"{APP}/manifests/sha256-{'a' * 64}"),
    ("PUT", f"{COPY}/manifests/latest"),
    ("PUT", f"{CACHE}/manifests/{KEY}"),
    ("GET", f"{APP}/_signatures/"),
    ("POST", f"{APP}/_signatures/{DIGEST}"),
    ("POST", f"{COPY}/_signatures/{DIGEST}"),
    ("POST", f"{APP}/_attestations/{DIGEST}"),
    ("POST", f"{APP}/blobs/uploads/"),
    ("POST", f"{APP}/blobs/uploads/?mount={DIGEST}&from=x"),
    ("PATCH", f"{APP}/blobs/uploads/abc"),
    ("PUT", f"{APP}/blobs/uploads/abc?digest={DIGEST}"),
    ("GET", f"{APP}/blobs/uploads/abc"),
    ("DELETE", f"{APP}/blobs/uploads/abc"),
]
FORBIDDEN = [
    ("PUT", f"{APP}/manifests/3"),
    ("PUT", f"{APP}/manifests/{KEY}"),
    ("PUT", f"{APP}/manifests/sha256-{'a' * 64}.sig"),
    ("PUT", f"{CACHE}/manifests/sha256-{'a' * 64}"),
    ("POST", f"{CACHE}/_signatures/{DIGEST}"),
    ("POST", f"{OTHER}/_signatures/{DIGEST}"),
    ("POST", f"{OTHER}/_attestations/{DIGEST}"),
    ("GET", f"{APP}/_attestations/"),
    ("GET", f"{OTHER}/_signatures/"),
    ("POST", f"{APP}/_signatures/1"),
    ("POST", f"{APP}/_signatures/"),
    ("GET", f"{APP}/_signatures/{DIGEST}"),
    ("PUT", f"{APP}/_signatures/{DIGEST}"),
    ("DELETE", f"{APP}/_signatures/{DIGEST}"),
    ("PUT", f"{CACHE}/manifests/latest"),
    ("PUT", f"{OTHER}/manifests/1"),
    ("PUT", "/s.example/v2/copy/manifests/latest"),
    ("PUT", "/r.example/v2/copy/manifests/latest"),
    ("POST", f"{OTHER}/blobs/uploads/"),
    ("POST", f"{APP}/blobs/uploads/abc"),
    ("POST", f"{APP}/manifests/1"),
    ("PATCH", f"{APP}/blobs/{DIGEST}"),
    ("GET", f"{OTHER}/blobs/uploads/abc"),
    ("DELETE", f"{APP}/manifests/1"),
    ("DELETE", f"{APP}/blobs/{DIGEST}"),
    ("DELETE", f"{APP}/tags/1"),
    ("PUT", f"{APP}/tags/1"),
    ("PUT", f"{APP}/blobs/uploads/"),
]


@pytest.mark.parametrize("query", ["index=1", f"index={DIGEST}&index=x", f"image={DIGEST}", "index="])
def test_only_an_index_is_attested_in_place_of_an_image(query):
    assert str(parse_target("POST", f"{APP}/_attestations/{DIGEST}?index={DIGEST}").index) == DIGEST
    assert parse_target("POST", f"{APP}/_attestations/{DIGEST}").index is None
    with pytest.raises(MalformedError):
        _ = parse_target("POST", f"{APP}/_attestations/{DIGEST}?{query}").index


def test_without_attestations_nothing_is_listed_as_a_referrer():
    policy = Policy.of(["r.example/team/app:1"], None)
    with pytest.raises(ForbiddenError):
        policy.check(parse_target("PUT", f"{APP}/manifests/sha256-{'a' * 64}"))


def test_a_build_by_digest_moves_no_tag():
    policy = Policy.of(["r.example/team/app:1"], None, attests=True, tags=False)
    policy.check(parse_target("PUT", f"{APP}/manifests/{DIGEST}"))
    policy.check(parse_target("PUT", f"{APP}/manifests/{DIGEST.replace(':', '-')}"))
    with pytest.raises(ForbiddenError, match="does not push"):
        policy.check(parse_target("PUT", f"{APP}/manifests/1"))


FILLED = Policy.of(["r.example/team/app:{branch}-{timestamp}", "r.example/team/app:v1"], None)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("main-1769909400", True),
        ("feature-x-1769909400", True),
        ("v1", True),
        ("main-176990940", False),
        ("1769909400", False),
        ("latest", False),
        ("v2", False),
        ("v1x", False),
    ],
)
def test_a_tag_with_fields_is_what_they_can_become(name, allowed):
    asked = parse_target("PUT", f"{APP}/manifests/{name}")
    if allowed:
        FILLED.check(asked)
        assert not asked.is_read
    else:
        with pytest.raises(ForbiddenError):
            FILLED.check(asked)


MALFORMED = [
    "/",
    "/v2/",
    "/r.example/v2/",
    "/r.example/v2/_catalog",
    "r.example/v2/x/manifests/1",
    "http://r.example/v2/x/manifests/1",
    "/r.example/v2/../x/manifests/1",
    "/r.example/v2/X/manifests/1",
    "/user@r.example/v2/x/manifests/1",
    "/r.example/v2/x/manifests/a/b",
    "/r.example/v2/x/manifests/..",
    "/r.example/v2/x/manifests/%2e%2e",
    "/r.example/v2/x/blobs/uploads/a/../../../y",
    "/r.example/v2/x/manifests/1#frag",
    "/r.example/v2/x/manifests/1\n",
    "/r.example/v2/x/manifests/" + "a" * 10_000,
]


@pytest.mark.parametrize(("method", "target"), ALLOWED)
def test_what_a_build_needs(method, target):
    asked = parse_target(method, target)
    POLICY.check(asked)
    assert target.startswith(f"/{asked.repository.registry}/v2/{asked.repository.path}/{asked.tail}")


def test_a_build_that_attests_nothing_has_no_attestation_signed():
    with pytest.raises(ForbiddenError):
        Policy.of(["r.example/team/app:1"], None).check(parse_target("POST", f"{APP}/_attestations/{DIGEST}"))


@pytest.mark.parametrize(("method", "target"), FORBIDDEN)
def test_what_it_has_no_use_for(method, target):
    with pytest.raises(ForbiddenError):
        POLICY.check(parse_target(method, target))


@pytest.mark.parametrize("target", MALFORMED)
def test_what_is_none_of_the_distribution_api(target):
    with pytest.raises(MalformedError):
        parse_target("GET", target)


def test_a_cache_in_the_destinations_repository_takes_keys_and_the_builds_tags():
    policy = Policy.of(["r.example/team/app:1"], "r.example/team/app")
    for tag in (KEY, "1"):
        policy.check(parse_target("PUT", f"{APP}/manifests/{tag}"))
    with pytest.raises(ForbiddenError):
        policy.check(parse_target("PUT", f"{APP}/manifests/2"))


_WORD = st.text("abmnv2/.:-_@%?#=\\ \x00\nXé", max_size=12)


@given(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]),
    st.lists(
        st.one_of(_WORD, st.sampled_from(["manifests", "blobs", "uploads", "v2", "r.example", "team/app"]))
    ),
)
def test_whatever_is_asked_for_a_write_goes_to_the_builds_own_repositories_alone(method, words):
    try:
        asked = parse_target(method, "/" + "/".join(words))
        POLICY.check(asked)
    except GatewayError:
        return
    assert asked.is_read or POLICY.is_own(asked.repository)
    assert method in {"GET", "HEAD"} or asked.kind in {Kind.UPLOAD, Kind.MANIFEST}
    assert asked.tail.count("/") == (2 if asked.kind is Kind.UPLOAD else 1)
