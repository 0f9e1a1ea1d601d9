"""The cluster's cache repository: whose it is, who gets it, who does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_api.imagebuild import ImageBuildSpec
from strake_operator.errors import SettingsError
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.request import request_for
from strake_operator.reconcile.decide import decide
from strake_operator.registries.document import PlatformRegistries
from strake_operator.settings.default_cache import RepositoryTemplate
from tests.unit.strake_operator.builders import FAILURE, NOW, SETTINGS, SPEC, ended, pod, run, seen
from tests.unit.strake_operator.manifests.test_manifests import RUN

DEFAULT = replace(
    SETTINGS, default_cache=RepositoryTemplate.parse("r.example:5000/cache/{namespace}", "VARIABLE")
)
NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


def spec(**cache):
    return ImageBuildSpec.model_validate({**SPEC.to_dict(), "cache": cache})


def status_of(build, settings=DEFAULT):
    return decide(seen(spec=build), settings, NOW).status


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r.example/cache", "must hold {namespace}"),
        ("r.example/cache/{name}", "must hold {namespace}"),
        ("r.example/cache/{namespace}/{name}", "must make a repository"),
        ("r.example/Cache/{namespace}", "must make a repository"),
        ("r.example/cache/{namespace}:latest", "without a tag"),
        ("https://r.example/{namespace}", "must make a repository"),
        ("r.example/cache/{namespace}/", "must make a repository"),
        ("r.example/cache/-{namespace}", "must make a repository"),
        ("r.example/{namespace}/" + "a" * 200, "at most 255"),
    ],
)
def test_templates_that_are_refused(text, message):
    with pytest.raises(SettingsError, match="VARIABLE") as caught:
        RepositoryTemplate.parse(text, "VARIABLE")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text", ["r.example/c-{namespace}", "r.example/{namespace}/cache", "{namespace}/cache"]
)
@given(one=NAMESPACES, other=NAMESPACES)
def test_no_two_namespaces_share_a_repository(text, one, other):
    template = RepositoryTemplate.parse(text, "VARIABLE")
    assert (template.repository(one) == template.repository(other)) == (one == other)


@pytest.mark.parametrize("build", [SPEC, spec(), spec(inline=True), spec(ttl="1h")])
def test_a_build_that_names_no_repository_gets_its_namespaces(build):
    request = request_for(build, "team", DEFAULT)
    assert request.cache.repository == "r.example:5000/cache/team"
    assert request.cache.ttl_seconds == (3600 if build.cache and build.cache.ttl == "1h" else 336 * 3600)
    assert status_of(build).cache_repository == "r.example:5000/cache/team"


def test_a_build_may_name_its_own():
    build = spec(repository="other.example/mine")
    assert request_for(build, "team", DEFAULT).cache.repository == "other.example/mine"
    assert status_of(build).cache_repository == "other.example/mine"


def test_a_build_may_have_none():
    cache = request_for(spec(enabled=False), "team", DEFAULT).cache
    assert (cache.repository, cache.enabled) == (None, False)
    assert status_of(spec(enabled=False)).cache_repository is None


def test_without_a_default_there_is_none():
    assert request_for(SPEC, "team", SETTINGS).cache.repository is None
    assert status_of(SPEC, SETTINGS).cache_repository is None


def test_a_default_cache_keeps_no_build_from_starting():
    """Its registry's client certificate is mounted if it is there; a namespace without one gets a warning."""
    registries = {"registries": {"r.example:5000": {"clientCertificateSecret": "client"}}}
    settings = replace(DEFAULT, registries=PlatformRegistries.model_validate(registries))
    elsewhere = SPEC.to_dict() | {"output": {"destinations": ["other.example/app:1"]}}
    pod = builder_job(RUN, ImageBuildSpec.model_validate(elsewhere), settings)["spec"]["template"]["spec"]
    (certificate,) = [each["secret"] for each in pod["volumes"] if each["name"].startswith("certificate-")]
    assert (certificate["secretName"], certificate["optional"]) == ("client", True)


def test_a_setting_that_changes_does_not_change_a_run():
    first = status_of(SPEC)
    under_way = decide(seen(run(), status=first), SETTINGS, NOW).status
    over = decide(seen(run(pod=pod(ended(FAILURE.to_json()))), status=under_way), SETTINGS, NOW).status
    assert {first.cache_repository, under_way.cache_repository, over.cache_repository} == {
        "r.example:5000/cache/team"
    }
