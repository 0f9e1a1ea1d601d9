"""Arguments, secrets and keys from Secrets and ConfigMaps: in the steps that ask for them, and nowhere else."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from typing import Any

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply, get
from tests.cluster.settings import LOCKED_REGISTRY
from tests.e2e.builds import build, manifest, registry_secret, until
from tests.e2e.conftest import TINY
from tests.e2e.intrusions import refusal, refusing

SECRET, TOKEN, FROM_MAP = "nobody-must-see-this", "shown-in-history", "from-a-map"
DOCKERFILE = """\
FROM TINY
ARG TOKEN
ARG MIRROR
RUN --mount=type=secret,id=npmrc --mount=type=ssh,required md5sum /run/secrets/npmrc && test -S $SSH_AUTH_SOCK
RUN ! test -e /run/secrets/npmrc && ! test -e /strake/given && case $TOKEN in shown-in-?istory) echo $MIRROR;; *) exit 3;; esac
"""


@pytest.fixture
def objects(namespace, tmp_path):
    """The Secrets and the ConfigMap that builds name."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    words = ["create", "-n", namespace]
    kubectl(*words, "secret", "generic", "npm", f"--from-literal=.npmrc={SECRET}")
    kubectl(*words, "secret", "generic", "token", f"--from-literal=value={TOKEN}")
    kind = "--type=kubernetes.io/ssh-auth"
    kubectl(*words, "secret", "generic", "deploy", kind, f"--from-file=ssh-privatekey={key}")
    kubectl(*words, "configmap", "settings", f"--from-literal=mirror={FROM_MAP}")


ASKED: dict[str, Any] = {
    "args": [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}},
        {"name": "MIRROR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mirror"}}},
    ],
    "secrets": [{"id": "npmrc", "secretRef": {"name": "npm", "key": ".npmrc"}}],
    "ssh": [{"secretRef": {"name": "deploy"}}],
}


def test_steps_get_what_they_ask_for(namespace, objects):
    status = build(namespace, DOCKERFILE, **ASKED)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "nested"
    log = kubectl("logs", f"job/{status['job']}", "-n", namespace)
    assert f"| {FROM_MAP}" in log
    assert "TOKEN comes from a Secret" in json.dumps(status["warnings"])
    shown = (
        json.dumps(status)
        + kubectl("get", "configmaps,jobs,pods,events", "-n", namespace, "-o", "json")
        + log
    )
    assert SECRET not in shown
    assert TOKEN not in shown


def test_a_chroot_gives_the_same_to_steps(namespace, objects):
    dockerfile = """\
FROM TINY
ARG MIRROR
RUN --mount=type=secret,id=npmrc --mount=type=ssh,required md5sum /run/secrets/npmrc && test -S $SSH_AUTH_SOCK
RUN ! test -e /run/secrets/npmrc && echo $MIRROR
"""
    asked = {**ASKED, "pod": {"workspace": {"medium": "Memory"}}}
    words = "hostUsers must not be false here"
    with refusing(namespace, "!has(object.spec.hostUsers) || object.spec.hostUsers", words):
        until(lambda: words in refusal(namespace), "the policy to be in force", lambda: "")
        status = build(namespace, dockerfile, **asked)
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "chroot"
    log = kubectl("logs", f"job/{status['job']}", "-n", namespace)
    assert hashlib.md5(SECRET.encode()).hexdigest() in log
    assert f"| {FROM_MAP}" in log
    assert SECRET not in log + json.dumps(status)
    assert "spec.pod.workspace is not used" in json.dumps(status["warnings"])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"secrets": [{"id": "a", "secretRef": {"name": "nowhere", "key": "k"}}]},
            '"nowhere" does not exist',
        ),
        ({"secrets": [{"id": "a", "secretRef": {"name": "npm", "key": "other"}}]}, "has no key other"),
        ({"ssh": [{"secretRef": {"name": "npm"}}]}, "kubernetes.io/ssh-auth"),
    ],
)
def test_what_is_missing_is_named(namespace, objects, asked, words):
    failure = build(namespace, "FROM TINY\n", **asked)["failure"]
    assert failure["reason"] == "SecretNotFound"
    assert words in failure["message"]


def test_a_dockerfile_of_the_spec_builds_any_source(namespace):
    files = {"Dockerfile": "FROM TINY\nRUN false\n", "motd": "from a map"}
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": files}, namespace)
    inline = f"FROM {TINY}\nCOPY motd /\nRUN cat /motd\n"
    status = build(namespace, "", source={"configMap": {"name": "c"}}, dockerfileInline=inline)
    assert status["phase"] == "Succeeded", status
    assert "| from a map" in kubectl("logs", f"job/{status['job']}", "-n", namespace)


def test_the_status_names_what_the_fields_of_a_tag_became(namespace):
    """Pushed through the gateway, which lets no other tag pass."""
    registry_secret(namespace, "push")
    repository = f"{LOCKED_REGISTRY}/e2e/{namespace}"
    output = {"destinations": [f"{repository}:g{{generation}}-{{date}}-{{timestamp}}"]}
    status = build(namespace, "FROM TINY\nRUN true\n", output=output, pushSecret={"name": "push"})
    assert status["phase"] == "Succeeded", status
    (reference,) = status["references"]
    assert re.fullmatch(rf"{re.escape(repository)}:g1-[0-9]{{8}}-[0-9]{{10}}", reference)
    assert status["image"] == f"{repository}@{status['digest']}"


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "two-dockerfiles": ({"dockerfile": "other", "dockerfileInline": "FROM a"}, "drop one of the two"),
    "repository": ({"output": {"destinations": ["r.example/{date}:1"]}}, "The repository is fixed"),
    "no-git": ({"output": {"destinations": ["r.example/a:{branch}"]}}, "need source.git"),
    "two-values": (
        {"args": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
        "a value or valueFrom",
    ),
    "no-object": ({"args": [{"name": "A", "valueFrom": {}}]}, "exactly one of configMapKeyRef"),
    "id": ({"secrets": [{"id": "a/b", "secretRef": {"name": "s", "key": "k"}}]}, "spec.secrets"),
    "twice": ({"secrets": [{"id": "a", "secretRef": {"name": "s", "key": "k"}}] * 2}, "Duplicate value"),
}


def test_kubectl_apply_says_what_is_wrong(namespace):
    for what, (asked, words) in REFUSED.items():
        with pytest.raises(ObjectError, match=words):
            kubectl("apply", "-n", namespace, "-f", "-", manifest=manifest("FROM TINY\n", name=what, **asked))
    assert not get("ib", "-n", namespace)["items"]
