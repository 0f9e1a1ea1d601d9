"""Contexts in a bucket of an S3 that asks for keys, in a cluster."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.settings import NODE_IP
from tests.e2e.builds import build, pods, run_image
from tests.e2e.conftest import TINY
from tests.fixtures.content.artifacts import archive
from tests.fixtures.servers.s3 import running_s3

APP = archive({"app/Dockerfile": f"FROM {TINY}\nCOPY --from=lib /motd /motd\nCMD cat /motd\n"})
LIB = archive({"motd": "from a bucket\n"})


@pytest.fixture(scope="module")
def s3():
    with running_s3({"ci/app.tar": APP, "ci/lib.tar": LIB}, NODE_IP) as running:
        yield running


def keys(namespace, s3, **values):
    """Make the Secret `keys` of the bucket."""
    words = [f"--from-literal={name}={value}" for name, value in (s3.reader | values).items()]
    kubectl(
        "create", "secret", "generic", "keys", "-n", namespace, f"--from-literal=bucket={s3.url}/box", *words
    )


def of_bucket(s3, key, content, **fields):
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    named = {"bucket": "box", "key": key, "endpoint": s3.url, "region": "us-east-1"}
    return {"s3": {**named, "checksum": checksum, "secret": {"name": "keys"}, **fields}}


def test_a_secret_opens_the_context_and_a_named_one(namespace, s3):
    keys(namespace, s3)
    lib = {"name": "lib", **of_bucket(s3, "ci/lib.tar", LIB)}
    source = of_bucket(s3, "ci/app.tar", APP, path="app")
    status = build(namespace, "", source=source, contexts=[lib])
    assert status["phase"] == "Succeeded", status
    assert status["source"]["digest"] == source["s3"]["checksum"]
    assert run_image(namespace, status["image"]) == "from a bucket\n"


def test_a_wrong_key_is_told_and_not_shown(namespace, s3):
    keys(namespace, s3, AWS_SECRET_ACCESS_KEY="not-the-key")
    status = build(namespace, "", source=of_bucket(s3, "ci/app.tar", APP, path="app"))
    failure = status["failure"]
    assert failure["reason"] == "SourceFetchFailed", status
    assert "cannot fetch s3://box/ci/app.tar" in failure["message"]
    assert "check the name, and that the identity may read it (s3:GetObject)" in json.dumps(failure)
    (pod,) = pods(namespace)
    log = kubectl("logs", pod, "-n", namespace, "-c", "source")
    assert "not-the-key" not in log + json.dumps(status)
