"""Sources that could change between two Jobs of a run, and requests that are tied to what they were."""

from __future__ import annotations

from typing import Any

import pytest

from strake_api.conversion import MountedPaths, build_request
from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.base import Registries
from strake_api.result import ResolvedSource
from strake_operator.pins import floats, pinned

COMMIT, OTHER = "a" * 40, "b" * 40
SUM = "sha256:" + "1" * 64
GIT: dict[str, Any] = {"git": {"url": "https://git.example/app", "ref": "main"}}
HTTP: dict[str, Any] = {"http": {"url": "https://files.example/app.tar"}}
OCI: dict[str, Any] = {"oci": {"reference": "r.example/ctx:1"}}
BUCKET: dict[str, Any] = {"gs": {"bucket": "bucket", "object": "o.tar"}}
FILES: dict[str, Any] = {"configMap": {"name": "ctx"}}
INLINE: dict[str, Any] = {"inline": {"Dockerfile": "FROM scratch"}}


def spec_of(source: dict[str, Any], **contexts: dict[str, Any]) -> ImageBuildSpec:
    named = [{"name": name, **each} for name, each in contexts.items()]
    output = {"destinations": ["r.example/app"]}
    return ImageBuildSpec.model_validate({"source": source, "contexts": named, "output": output})


def requested(spec: ImageBuildSpec, *sources: ResolvedSource):
    request = build_request(
        spec, mounted=MountedPaths("/strake/context"), work_directory="/w", registries=Registries()
    )
    return pinned(request, sources)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (GIT, True),
        ({"git": {**GIT["git"], "ref": "v1.0"}}, True),
        ({"git": {**GIT["git"], "ref": COMMIT[:12]}}, True),
        ({"git": {**GIT["git"], "ref": COMMIT}}, False),
        ({"git": {**GIT["git"], "ref": "a" * 64}}, False),
        (HTTP, True),
        ({"http": {**HTTP["http"], "checksum": SUM}}, False),
        (OCI, True),
        ({"oci": {"reference": f"r.example/ctx@{SUM}"}}, False),
        (BUCKET, True),
        ({"gs": {**BUCKET["gs"], "checksum": SUM}}, False),
        (FILES, True),
        (INLINE, False),
    ],
)
def test_what_a_spec_does_not_name_exactly_may_change(source, expected):
    assert floats(spec_of(source)) is expected


@pytest.mark.parametrize(("context", "expected"), [(GIT, True), ({"image": "alpine:3"}, False)])
def test_named_contexts_count_too_but_for_images(context, expected):
    assert floats(spec_of(INLINE, shared=context)) is expected


def test_each_kind_of_source_is_tied_to_what_it_resolved_to():
    git = requested(spec_of(GIT), ResolvedSource(revision=COMMIT)).source.git
    # The ref stays, since source policies go by it; one that moves meanwhile fails no platform.
    assert (git.ref, git.commit, git.resolved) == ("main", COMMIT, True)
    digest = ResolvedSource(digest=SUM)
    assert requested(spec_of(HTTP), digest).source.http.checksum == SUM
    assert requested(spec_of(BUCKET), digest).source.bucket.checksum == SUM
    assert requested(spec_of(FILES), digest).source.directory.digest == SUM
    oci = requested(spec_of({"oci": {"reference": "r.example/ctx:1", "path": "app"}}), digest).source.oci
    assert (oci.reference, oci.path) == (f"r.example/ctx@{SUM}", "app")


def test_named_contexts_are_tied_by_their_order_and_images_stay():
    spec = spec_of(INLINE, one=GIT, two={"image": "alpine:3"}, three=HTTP)
    request = requested(
        spec, ResolvedSource(), ResolvedSource(revision=COMMIT), ResolvedSource(digest=SUM), ResolvedSource()
    )
    assert request.source == requested(spec).source
    one, two, three = request.contexts
    assert one.source.git.commit == COMMIT
    assert two.image == "alpine:3"
    assert three.source.http.checksum is None


def test_where_nothing_was_resolved_a_request_is_as_its_spec():
    assert requested(spec_of(GIT)).source.git.commit is None


def test_too_few_answers_are_a_mistake_and_no_half_pinned_request():
    with pytest.raises(ValueError, match="shorter"):
        requested(spec_of(INLINE, one=GIT, two=GIT), ResolvedSource(), ResolvedSource(revision=OTHER))
