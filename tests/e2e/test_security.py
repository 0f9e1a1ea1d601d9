"""What a build can reach, and what the operator may do."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import KubectlError, kubectl
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build, run_image

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:strake-operator"


def may(verb: str, what: str) -> bool:
    resource, _, subresource = what.partition("/")
    try:
        answer = kubectl(
            "auth",
            "can-i",
            verb,
            resource,
            f"--subresource={subresource}",
            f"--as={ACCOUNT}",
            "--all-namespaces",
        )
        return answer.strip() == "yes"
    except KubectlError:
        return False


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("get", "secrets"),
        ("list", "secrets"),
        ("get", "configmaps"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("update", "imagebuilds.strake.dev"),
        ("patch", "imagebuilds.strake.dev"),
        ("update", "jobs.batch"),
        ("create", "deployments.apps"),
        ("create", "clusterroles.rbac.authorization.k8s.io"),
    ],
)
def test_the_operator_may_not(platform, verb, what):
    assert not may(verb, what)


def test_the_operator_may_do_its_work(platform):
    assert may("create", "jobs.batch")
    assert may("patch", "imagebuilds.strake.dev/status")


PROBE = """\
FROM TINY
RUN { awk '{print "uid map", $2 == 0}' /proc/self/uid_map | head -n 1; \
      ls /strake /var/run/secrets 2>&1 | grep -c 'No such file'; \
      tr '\\0' '\\n' < /proc/1/environ | grep -c -E 'KUBERNETES|STRAKE'; \
      mkdir /m && mount -t tmpfs x /m 2>/dev/null && echo mounted; \
      ls /proc | grep -c '^[0-9]'; } > /found; true
CMD ["cat", "/found"]
"""


def test_a_step_sees_nothing_of_the_builder(namespace):
    status = build(namespace, PROBE)
    assert status["phase"] == "Succeeded", status
    host_root, absent, variables, *rest = run_image(namespace, status["image"]).splitlines()
    assert host_root == "uid map 0", "root in a step is not root on the node"
    assert absent == "2", "neither the builder's files nor a service account's token"
    assert variables == "0"
    assert "mounted" not in rest
    assert int(rest[-1]) < 8, "only the step's own processes"
