"""ImageBuilds that share a cache repository."""

from __future__ import annotations

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply
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


def test_a_new_pod_has_what_another_pod_left_in_a_cache_mount(namespace):
    """Each pod has a work directory of its own, so what the second one finds came from the repository."""
    repository = f"{REGISTRY}/e2e/{namespace}-cache"

    def built(name: str, command: str, **mounts: object) -> tuple[dict, str]:
        cache = {"repository": repository, "mounts": mounts}
        text = f"FROM TINY\nRUN --mount=type=cache,target=/wheels {command}\n"
        apply(manifest(text, name=name, cache=cache), namespace)
        status = finished(namespace, name=name)
        assert status["phase"] == "Succeeded", status
        return status, kubectl("logs", f"job/{status['job']}", "-n", namespace)

    _, log = built("fills", "head -c 3000000 /dev/urandom > /wheels/one; chown 5:6 /wheels/one")
    assert "cache mount /wheels kept: 3.0 MB in 1 file, 3.0 MB pushed" in log
    status, log = built("finds", "stat -c '%n %s %u:%g' /wheels/*; echo two > /wheels/two", maxSize="10Mi")
    assert "/wheels/one 3000000 5:6" in log
    assert "cache mount /wheels restored: 3.0 MB in 1 file" in log
    assert "cache mount /wheels kept: 3.0 MB in 2 files" in log
    assert "warnings" not in status
    _, log = built("without", "ls -A /wheels | wc -l", enabled=False)
    assert "#1 | 0" in log
    assert "cache mount /wheels restored" not in log
