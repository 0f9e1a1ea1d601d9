"""Builds that fail, each with the reason, the place and the words that help."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError
from tests.cluster.settings import LOCKED_REGISTRY, REGISTRY
from tests.e2e.builds import build, conditions, manifest, pods, until

FAILED = {
    "Ready": "False",
    "Succeeded": "False",
    "Reconciling": "False",
    "Stalled": "True",
    "Finished": "True",
}


def failure(namespace, content, /, **spec):
    status = build(namespace, content, **spec)
    assert conditions(status) == FAILED, status
    assert "image" not in status
    return status["failure"]


def test_a_failing_step(namespace):
    found = failure(namespace, "FROM TINY\nRUN true\nRUN echo out; echo err >&2; exit 42\n")
    assert (found["reason"], found["line"], found["exitCode"]) == ("RunStepFailed", 3, 42)
    assert "exit 42" in found["instruction"]
    assert set(found["logTail"].splitlines()) == {"out", "err"}
    assert "RunStepFailed" in kubectl("describe", "ib", "app", "-n", namespace)


def test_a_bad_dockerfile(namespace):
    found = failure(namespace, "FROM TINY\nRUN true\nRUNN echo\n")
    assert (found["reason"], found["line"]) == ("DockerfileInvalid", 3)
    assert "RUNN" in found["message"]


def test_an_unknown_base_image(namespace):
    missing = f"{REGISTRY}/no/such:image"
    found = failure(namespace, f"FROM {missing}\nRUN true\n")
    assert found["reason"] == "BaseImagePullFailed"
    assert missing in found["message"]


def test_a_copy_of_nothing(namespace):
    found = failure(namespace, "FROM TINY\nCOPY nothing /x\n")
    assert (found["reason"], found["line"]) == ("StepFailed", 2)
    assert "nothing" in found["message"]


def test_a_refused_push(namespace):
    found = failure(namespace, "FROM TINY\nRUN true\n", output={"destinations": [f"{LOCKED_REGISTRY}/a/b:1"]})
    assert found["reason"] == "PushUnauthorized"
    assert LOCKED_REGISTRY in found["message"]


def test_a_secret_that_does_not_exist(namespace):
    found = failure(namespace, "FROM TINY\nRUN true\n", pushSecret={"name": "nowhere"})
    assert found["reason"] == "SecretNotFound"
    assert '"nowhere"' in found["message"]
    until(lambda: pods(namespace) == [], "the pod to be gone", lambda: pods(namespace))


def test_a_secret_of_another_type(namespace):
    kubectl("create", "secret", "generic", "odd", "-n", namespace, "--from-literal=a=b")
    found = failure(namespace, "FROM TINY\nRUN true\n", pushSecret={"name": "odd"})
    assert found["reason"] == "SecretNotFound"
    assert "kubernetes.io/dockerconfigjson" in found["message"]


def test_a_config_map_that_does_not_exist(namespace):
    found = failure(namespace, "", source={"configMap": {"name": "nowhere"}})
    assert found["reason"] == "SourceFetchFailed"
    assert '"nowhere"' in found["message"]


def test_a_build_that_takes_too_long(namespace):
    found = failure(namespace, "FROM TINY\nRUN sleep 600\n", timeout="5s")
    assert found["reason"] == "TimedOut"


def test_resources_that_make_no_sense(namespace):
    found = failure(
        namespace, "FROM TINY\nRUN true\n", resources={"requests": {"example.com/no such resource": 1}}
    )
    assert found["reason"] == "InvalidRequest"
    assert "no such resource" in found["message"]


def test_a_namespace_that_admits_no_builders(namespace):
    restricted = "pod-security.kubernetes.io/enforce=restricted"
    kubectl("label", "namespace", namespace, restricted, "--overwrite")
    found = failure(namespace, "FROM TINY\nRUN true\n")
    assert found["reason"] == "PolicyDenied"
    assert "PodSecurity" in found["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {}}, "exactly one of git, http, oci, s3, gs, azure, configMap or inline"),
        ({"source": {"inline": {"other": "x"}}}, "holds no file of the name"),
        ({"source": {"git": {"url": "https://a:b@x.example/y"}}}, "must not carry a user name"),
        ({"source": {"git": {"url": "ssh://git@x.example/y"}}}, "an ssh URL needs git.secret"),
        ({"source": {"git": {"url": "git@x.example:y"}}}, "an ssh URL needs git.secret"),
        ({"source": {"inline": {"Dockerfile": "x" * 262145}}}, "(?i)too long"),
        ({"source": {"inline": {"Dockerfile": "x" * 130000, "b": "x" * 132200}}}, "source.configMap"),
        ({"resources": {"limits": {"memory": "1GB"}}}, "not 1GB"),
        ({"resources": {"limits": {"mem": "1Gi"}}}, "ephemeral-storage"),
        ({"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}, "more than resources.limits"),
        ({"output": {"destinations": ["https://r.example/a:1"]}}, "drop the scheme"),
        ({"output": {"destinations": ["r.example:5000/app:feature/x"]}}, "cannot hold a '/'"),
        ({"dockerfile": "../Dockerfile"}, "cannot leave it"),
        ({"output": {"destinations": ["r.example/a@sha256:" + "0" * 64]}}, "cannot hold a digest"),
        ({"output": {"destinations": ["r.example/A"]}}, "registry/repository:tag"),
        ({"platform": "linux/amd64,linux/arm64"}, "list several in platforms"),
        ({"platform": "windows/amd64"}, "only images for Linux"),
        ({"platform": "linux/x86_64"}, "written linux/ARCHITECTURE"),
        ({"serviceAccountName": "team/builder"}, "serviceAccountName"),
        ({"cache": {"enabled": False, "repository": "r.example/c"}}, "drop it or them"),
        ({"cache": {"enabled": False, "images": ["r.example/c:1"]}}, "drop it or them"),
        ({"timeout": "48h"}, "at most 24h"),
        ({"pushSecrets": {"name": "x"}}, "unknown field"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_are_refused_at_apply(namespace, change, message):
    with pytest.raises(ObjectError, match=message) as caught:
        # As kubectl apply, which has a limit of its own for large objects.
        kubectl("create", "-n", namespace, "-f", "-", manifest=manifest("FROM TINY\n", **change))
    assert "index out of bounds" not in str(caught.value)
