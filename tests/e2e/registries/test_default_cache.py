"""A cluster with a cache repository for builds that name none. Its registry wants credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
from tests.cluster.settings import LOCKED_PASSWORD, LOCKED_REGISTRY, LOCKED_USER
from tests.e2e.builds import finished, manifest

if TYPE_CHECKING:
    from collections.abc import Iterator


TEXT = "FROM TINY\nRUN echo made > /made\n"


@pytest.fixture(scope="module", autouse=True)
def default_cache(platform) -> Iterator[None]:
    """Give the operator the setting, and take it away again."""
    with platform.changed(STRAKE_DEFAULT_CACHE_REPOSITORY=f"{LOCKED_REGISTRY}/e2e-cache/{{namespace}}"):
        yield


def built(namespace: str, name: str, **spec) -> dict:
    apply(manifest(TEXT, name=name, **spec), namespace)
    status = finished(namespace, name=name)
    assert status["phase"] == "Succeeded", status
    return status


def test_builds_of_a_namespace_share_its_repository(namespace):
    kubectl(
        "create", "secret", "docker-registry", "push", "-n", namespace, f"--docker-server={LOCKED_REGISTRY}",
        f"--docker-username={LOCKED_USER}", f"--docker-password={LOCKED_PASSWORD}",
    )  # fmt: skip
    first = built(namespace, "first", pushSecret={"name": "push"})
    assert first["cacheRepository"] == f"{LOCKED_REGISTRY}/e2e-cache/{namespace}"
    assert "warnings" not in first
    second = built(namespace, "second", pushSecret={"name": "push"})
    assert second["steps"]["cached"] == 1
    assert second["digest"] == first["digest"]
    assert "Cache Repository" in kubectl("describe", "ib", "second", "-n", namespace)
    third = built(namespace, "third", pushSecret={"name": "push"}, cache={"enabled": False})
    assert third["steps"]["cached"] == 0
    assert "cacheRepository" not in third


def test_a_build_without_the_right_to_it_goes_on_with_a_warning(namespace):
    status = built(namespace, "app")
    assert any(f"{LOCKED_REGISTRY}/e2e-cache/{namespace}" in warning for warning in status["warnings"]), (
        status
    )
    assert all("goes on without" in warning for warning in status["warnings"])
