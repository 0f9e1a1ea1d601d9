"""ImageBuilds that share a cache repository."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import apply
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import finished, manifest

pytestmark = pytest.mark.cluster


def test_a_second_build_takes_its_steps_from_the_repository(namespace):
    text = "FROM TINY\nRUN echo made > /made\nCOPY Dockerfile /file\nRUN cat /made > /again\n"
    cache = {"repository": f"{REGISTRY}/e2e/{namespace}-cache"}
    apply(manifest(text, name="first", cache=cache), namespace)
    first = finished(namespace, name="first")
    assert first["phase"] == "Succeeded"
    apply(manifest(text, name="second", cache=cache), namespace)
    second = finished(namespace, name="second")
    assert second["steps"] == {"total": 3, "done": 3, "cached": 3}
    assert second["digest"] == first["digest"]
