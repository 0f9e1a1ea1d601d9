"""What a build can reach, and what the operator may do."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError, apply
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build, manifest, run_image, status_of, until

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
    except ObjectError:
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
RUN { ls /strake /var/run/secrets 2>&1 | grep -c 'No such file'; \
      tr '\\0' '\\n' < /proc/1/environ | grep -c -E 'KUBERNETES|STRAKE'; \
      mkdir /m && mount -t tmpfs x /m 2>/dev/null && echo mounted; \
      ls /proc | grep -c '^[0-9]'; } > /found; true
CMD ["cat", "/found"]
"""


def test_a_step_sees_nothing_of_the_builder(namespace):
    status = build(namespace, PROBE)
    assert status["phase"] == "Succeeded", status
    absent, variables, *rest = run_image(namespace, status["image"]).splitlines()
    assert absent == "2", "neither the builder's files nor a service account's token"
    assert variables == "0"
    assert "mounted" not in rest
    assert int(rest[-1]) < 8, "only the step's own processes"


def test_root_in_a_step_is_nobody_on_the_node(namespace):
    seconds = str(secrets.randbelow(10**6) + 10**6)
    apply(manifest(f"FROM TINY\nRUN sleep {seconds}\n"), namespace)
    until(lambda: owners_of("sleep", seconds), "the step's process", lambda: status_of(namespace))
    assert min(owners_of("sleep", seconds)) >= 65536


def owners_of(*command: str) -> list[int]:
    """Return as whom the node runs the processes with a command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes().split(b"\0")[:-1] == [each.encode() for each in command]:
                found.append(process.stat().st_uid)
    return found
