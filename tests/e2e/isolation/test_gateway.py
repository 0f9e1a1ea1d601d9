"""A step in a chroot shares the container with the executor: no credential of the build's is there."""

from __future__ import annotations

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import get
from tests.cluster.settings import LOCKED_PASSWORD, LOCKED_REGISTRY
from tests.e2e.builds import UID, build, registry_secret

# The brackets keep the pattern from finding itself, in the request and on command lines.
PATTERN = f"[{LOCKED_PASSWORD[0]}]{LOCKED_PASSWORD[1:]}"
SPY = f"""\
FROM TINY
RUN ! grep -r -s -l '{PATTERN}' /strake/push /strake/pull /strake/request /strake/gateway /tmp /run /etc
RUN ! cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -a '{PATTERN}'
RUN ls /strake > /seen 2>/dev/null || true; ! grep -E '^(push|pull)$' /seen
"""


def test_in_a_chroot_steps_find_no_credential_and_the_image_is_pushed(platform, changing, namespace):
    registry_secret(namespace, "push")
    with platform.changed(STRAKE_ISOLATION="chroot"):
        status = build(
            namespace,
            SPY,
            output={"destinations": [f"{LOCKED_REGISTRY}/e2e/spied:1"]},
            pushSecret={"name": "push"},
        )
    assert status["phase"] == "Succeeded", status
    assert status["isolation"]["kind"] == "chroot"


def test_the_gateway_ends_with_the_builder_and_logs_what_it_forwarded(namespace):
    registry_secret(namespace, "push")
    status = build(
        namespace,
        "FROM TINY\nRUN true\n",
        output={"destinations": [f"{LOCKED_REGISTRY}/e2e/logged:1"]},
        pushSecret={"name": "push"},
    )
    assert status["phase"] == "Succeeded", status
    (pod,) = get("pods", "-n", namespace, "-l", UID)["items"]
    log = kubectl("logs", pod["metadata"]["name"], "-c", "gateway", "-n", namespace)
    assert f"PUT {LOCKED_REGISTRY}/e2e/logged manifests/1 201" in log
    assert LOCKED_PASSWORD not in log


def test_a_secret_of_another_form_is_named_by_the_build(namespace):
    kubectl(
        "create", "secret", "generic", "push", "-n", namespace, "--type=kubernetes.io/dockerconfigjson",
        '--from-literal=.dockerconfigjson={"auths": {}}',
    )  # fmt: skip
    status = build(
        namespace,
        "FROM TINY\nRUN true\n",
        output={"destinations": [f"{LOCKED_REGISTRY}/e2e/refused:1"]},
        pushSecret={"name": "push"},
    )
    assert status["phase"] == "Failed"
    assert status["failure"]["reason"] == "PushUnauthorized"
    assert f"no credentials for {LOCKED_REGISTRY}" in status["failure"]["message"]
