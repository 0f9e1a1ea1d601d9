"""A builder pod of a ServiceAccount: who it is, and what of that its steps find."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import get
from tests.e2e.builds import build, pods, run_image
from tests.e2e.pod_identity import DIRECTORY, identity


@pytest.fixture
def webhook(namespace):
    with identity(namespace):
        yield


ATTACK = f"""\
FROM TINY
RUN {{ cat {DIRECTORY}/token /proc/1/root{DIRECTORY}/token ../../../../..{DIRECTORY}/token; \
      mkdir /jail && cp /bin/busybox /jail/ && chroot /jail /busybox cat ../../../../..{DIRECTORY}/token; \
      ls -A /var/run/secrets /run; env; cat /proc/*/environ; }} > /found 2>&1; true
CMD ["cat", "/found"]
"""


def test_a_pod_with_a_token_for_a_cloud_keeps_it_from_its_steps(namespace, webhook):
    kubectl("create", "serviceaccount", "builder", "-n", namespace)
    status = build(namespace, ATTACK, serviceAccountName="builder")
    assert status["phase"] == "Succeeded", status
    (name,) = pods(namespace)
    pod = get("pod", name, "-n", namespace)["spec"]
    assert pod["serviceAccountName"] == "builder"
    assert [volume["name"] for volume in pod["volumes"] if "projected" in volume] == ["aws-iam-token"]
    found = run_image(namespace, status["image"])
    assert found.count("No such file") >= 5, found
    assert "PATH=" in found, "the step's environment was read"
    assert "AWS_" not in found
    assert "eyJ" not in found, "no token"


def test_a_service_account_that_does_not_exist(namespace):
    status = build(namespace, "FROM TINY\nRUN true\n", serviceAccountName="nowhere")
    assert status["failure"]["reason"] == "ServiceAccountNotFound", status
    assert 'ServiceAccount "nowhere" does not exist' in status["failure"]["message"]
    assert "job" not in status
