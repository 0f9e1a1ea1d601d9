"""ImageBuilds that share a cache repository."""

from __future__ import annotations

from tests.cluster.kubectl import apply, kubectl
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import finished, manifest, run_image


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


def test_other_sources_are_copied_by_a_new_pod_that_pulls_no_layer(namespace):
    cache = {"repository": f"{REGISTRY}/e2e/{namespace}-cache"}

    def built(name: str, source: str) -> tuple[dict, str]:
        build = manifest("FROM TINY\nRUN mkdir /src\nCOPY main /src/\n", name=name, cache=cache)
        build["spec"]["source"]["inline"]["main"] = source
        apply(build, namespace)
        status = finished(namespace, name=name)
        return status, kubectl("logs", f"job/{status['job']}", "-n", namespace)

    first, log = built("first", "one\n")
    assert ": pulled " in log
    second, log = built("second", "two\n")
    assert (second["phase"], second["steps"]["cached"]) == ("Succeeded", 1)
    assert ": pulled " not in log
    assert second["digest"] != first["digest"]
    assert run_image(namespace, second["image"], "cat", "/src/main") == "two\n"
