"""Named contexts of an ImageBuild: what may be named, and what the builder is told of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.conversion import MountedPaths, build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.base import Registries
from strake_api.spec.contexts import NamedContext

PRIVATE = {"url": "https://git.example/lib.git", "ref": "v1", "secret": {"name": "token"}}


@pytest.mark.parametrize(
    "context",
    [
        {"name": "lib", "git": {"url": "https://git.example/lib.git"}},
        {"name": "alpine", "image": "registry.example/alpine:3"},
        {"name": "registry.example:5000/a/b:1.2", "image": "scratch"},
        {"name": "c", "oci": {"reference": "registry.example:5000/a/context:1", "path": "sub"}},
        {"name": "data", "http": {"url": "https://web.example/a.tgz", "path": "sub"}},
        {"name": "c", "s3": {"bucket": "box", "key": "a.tar", "endpoint": "https://minio.example"}},
        {"name": "c", "gs": {"bucket": "box", "object": "a.tar", "secret": {"name": "keys"}}},
        {"name": "c", "azure": {"url": "https://acme.blob.core.windows.net/box/a.tar", "path": "sub"}},
    ],
)
def test_good_contexts(context):
    assert NamedContext.model_validate(context).name == context["name"]


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"name": "lib"}, "exactly one of git, http"),
        ({"name": "lib", "image": "a", "git": {"url": "https://g.example/a"}}, "exactly one of git, http"),
        (
            {"name": "c", "s3": {"bucket": "b-x", "key": "a"}, "image": "a"},
            "exactly one of git, http, oci, s3",
        ),
        ({"name": "c", "s3": {"bucket": "box", "key": "../a"}}, "s3.key is the name of an object"),
        ({"name": "c", "s3": {"bucket": "box", "key": "a", "endpoint": "http://x"}}, "needs s3.checksum"),
        ({"name": "c", "gs": {"bucket": "box", "object": "a?b"}}, "gs.object is the name of an object"),
        ({"name": "c", "azure": {"url": "https://acme.example/box/a"}}, "azure.url is written"),
        ({"name": "Lib", "image": "a"}, "in lower case"),
        ({"name": "", "image": "a"}, "in lower case"),
        ({"name": "c", "oci": {"reference": "oci://registry.example/a"}}, "without oci://"),
        ({"name": "c", "oci": {"reference": "a"}}, "oci.reference is written REGISTRY/REPOSITORY"),
        ({"name": "c", "oci": {"reference": "registry.example/a@sha256:12"}}, "oci.reference is written"),
        ({"name": "c", "oci": {"reference": "registry.example/a:1", "path": "/x"}}, "oci.path"),
        ({"name": "lib", "image": ""}, "at least 1 character"),
        ({"name": "lib", "inline": {"a": "b"}}, "inline"),
        ({"name": "lib", "git": {"url": "ftp://g.example/a"}}, "git.url is written"),
    ],
)
def test_what_cannot_be_meant(context, words):
    with pytest.raises(ValidationError, match=words):
        NamedContext.model_validate(context)


def test_private_repository_of_a_context_has_places_of_its_own():
    spec = ImageBuildSpec.model_validate(
        {
            "source": {"git": PRIVATE},
            "contexts": [
                {"name": "open", "git": {"url": "https://git.example/open.git"}},
                {"name": "lib", "git": PRIVATE},
                {"name": "alpine", "image": "registry.example/alpine:3"},
            ],
            "output": {"destinations": ["registry.example/app:1"]},
        }
    )
    request = build_request(
        spec,
        mounted=MountedPaths(config_map="/c", git="/git", fetched="/source"),
        work_directory="/work",
        registries=Registries(),
    )
    places = [(git.credentials, git.fetched) for git in request.repositories]
    assert places == [("/git", "/source"), (None, None), ("/git-1", "/source/context-1")]
    assert [each.image for each in request.contexts] == [None, None, "registry.example/alpine:3"]


def test_the_bucket_of_a_context_has_places_of_its_own_where_it_has_a_secret():
    keys = {"bucket": "box", "key": "a.tar", "secret": {"name": "keys"}}
    spec = ImageBuildSpec.model_validate(
        {
            "source": {"s3": keys},
            "contexts": [
                {"name": "open", "gs": {"bucket": "open", "object": "a.tar"}},
                {"name": "lib", "s3": {**keys, "endpoint": "https://minio.example", "region": "here"}},
            ],
            "output": {"destinations": ["registry.example/app:1"]},
        }
    )
    mounted = MountedPaths(config_map="/c", bucket="/bucket", fetched="/source")
    request = build_request(spec, mounted=mounted, work_directory="/work", registries=Registries())
    found = [(each.bucket_url, each.credentials, each.fetched) for each in request.bucket_objects]
    assert found == [
        ("s3://box", "/bucket", "/source"),
        ("gs://open", None, None),
        ("https://minio.example/box", "/bucket-1", "/source/context-1"),
    ]
    local = build_request(
        spec, mounted=MountedPaths(config_map="/c"), work_directory="/w", registries=Registries()
    )
    assert {each.fetched for each in local.bucket_objects} == {None}, "`strake run` has its own identity"
