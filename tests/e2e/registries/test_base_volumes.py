"""A base image that the node has is mounted, and the registry is asked for no layer of it."""

from __future__ import annotations

import json

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import DIR, LOCKED_REGISTRY, REGISTRY
from tests.e2e.builds import build, finished, manifest, registry_secret, run_image
from tests.e2e.conftest import TINY
from tests.e2e.intrusions import refusing
from tests.images.push import push_image

BASED = "FROM {base}\nRUN echo {word} > /word && chown 42:42 /word\nCMD cat /word && stat -c %u /word\n"


@pytest.fixture
def base(namespace):
    """A base image of the test's own, which no node has."""
    reference = f"{REGISTRY}/bases/{namespace}:1"
    push_image("tiny", reference)
    return reference


def volumes(namespace, job):
    """Return the image volumes of a Job's pod, by reference."""
    (pod,) = get("pods", "-n", namespace, "-l", f"job-name={job}")["items"]
    return [each["image"]["reference"] for each in pod["spec"]["volumes"] if "image" in each]


def again(namespace, base, word, generation):
    """Change the build, wait for it, and return its status."""
    apply(manifest(BASED.format(base=base, word=word)), namespace)
    status = finished(namespace, generation)
    assert status["phase"] == "Succeeded", status
    return status


def blobs_read(namespace):
    """Return how many blobs of the test's base left the registry."""
    log = (DIR / "registry.log").read_text(errors="replace")
    return sum(f"GET /v2/bases/{namespace}/blobs/" in line for line in log.splitlines())


def test_a_base_that_the_node_has_leaves_the_registry_no_more(namespace, base):
    first = build(namespace, BASED.format(base=base, word="one"))
    assert first["phase"] == "Succeeded", first
    assert not volumes(namespace, first["job"])
    second = again(namespace, base, "two", 2)
    (volume,) = volumes(namespace, second["job"])
    assert volume == f"{base.rpartition(':')[0]}@{second['baseImages'][0]['manifest']}"
    layers, before = 1, blobs_read(namespace)
    assert before > layers
    third = again(namespace, base, "three", 3)
    assert volumes(namespace, third["job"]) == [volume]
    # Its config is read: that is a blob of some hundred bytes.
    assert blobs_read(namespace) - before <= 1
    assert third["isolation"] == {"kind": "nested", "ownProc": True}
    assert run_image(namespace, third["image"]).split() == ["three", "42"]


def test_a_volume_that_does_not_come_keeps_no_build_from_starting(namespace, base):
    build(namespace, BASED.format(base=base, word="one"))
    gone = "sha256:" + "0" * 64
    patch = [{"op": "replace", "path": "/status/baseImages/0/manifest", "value": gone}]
    kubectl(
        "patch", "ib", "app", "-n", namespace, "--subresource=status", "--type=json", "-p", json.dumps(patch)
    )
    status = again(namespace, base, "two", 2)
    assert status["job"].endswith("-plain")
    assert status["attempts"] == 1
    job = get("job", status["job"], "-n", namespace)
    assert gone in job["metadata"]["annotations"]["strake.dev/base-volumes-reason"]
    assert run_image(namespace, status["image"]).split() == ["two", "42"]


def test_a_rule_against_image_volumes_keeps_no_build_from_starting(namespace, base):
    build(namespace, BASED.format(base=base, word="one"))
    with refusing(namespace, "!object.spec.volumes.exists(v, has(v.image))", "no image volumes here"):
        status = again(namespace, base, "two", 2)
        assert run_image(namespace, status["image"]).split() == ["two", "42"]
        assert status["attempts"] == 1
        assert not volumes(namespace, status["job"])


def test_a_private_base_is_pulled_with_the_builds_own_secret(namespace):
    private = f"{LOCKED_REGISTRY}/bases/{namespace}:1"
    registry_secret(namespace, "registry")
    copied = build(
        namespace,
        f"FROM {TINY}\nRUN echo private > /private\n",
        output={"destinations": [private]},
        pushSecret={"name": "registry"},
    )
    assert copied["phase"] == "Succeeded", copied
    text = f"FROM {private}\nRUN cat /private\n"
    for number in (1, 2):
        apply(manifest(text + f"LABEL n={number}\n", name="next", pullSecret={"name": "registry"}), namespace)
        status = finished(namespace, number, "next")
        assert status["phase"] == "Succeeded", status
    assert len(volumes(namespace, status["job"])) == 1
    assert not status["job"].endswith("-plain")


def test_in_a_chroot_what_the_platform_lists_is_mounted_and_nothing_else(platform, changing, namespace, base):
    """A step in a chroot can write the build's result, and would choose what the next pod mounts."""
    listed = f"{REGISTRY}/tiny@{push_image('tiny', TINY)}"
    with platform.changed(STRAKE_ISOLATION="chroot", STRAKE_BASE_IMAGES=listed):
        build(namespace, BASED.format(base=base, word="one"))
        status = again(namespace, base, "two", 2)
        assert volumes(namespace, status["job"]) == [listed]
        assert status["isolation"]["kind"] == "chroot"
        assert "manifest" not in status["baseImages"][0]
        assert run_image(namespace, status["image"]).split() == ["two", "42"]
