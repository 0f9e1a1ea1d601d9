"""Checks of an image in a cluster: what fails keeps the tag where it is, and the status says why."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.cluster.objects import apply
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import build, finished, manifest
from tests.fixtures.building.builds import STRAKE

DOCKERFILE = "FROM TINY\nRUN echo 7 > /found\n"
FOUND = {
    "matches": [
        {
            "vulnerability": {"id": "CVE-2026-1", "severity": "Critical", "fix": {"versions": ["2"]}},
            "artifact": {"name": "libfoo", "version": "1"},
        }
    ]
}
SCAN = (
    f"grep -q 7 $STRAKE_VERIFY_ROOT/found && cat > $STRAKE_VERIFY_RESULT <<'END'\n{json.dumps(FOUND)}\nEND\n"
)


def checks(scanner: str, expected: int, *ignored: str) -> list[dict[str, Any]]:
    test = f"echo it has $(cat /found); test $(cat /found) = {expected}"
    return [
        {"name": "smoke", "kind": "test", "command": ["/bin/sh", "-c", test]},
        {
            "name": "cves",
            "kind": "scan",
            "image": scanner,
            "command": ["/bin/sh", "-c", SCAN],
            "ignore": [{"id": each} for each in ignored],
        },
    ]


def is_there(reference: str) -> bool:
    words = [str(STRAKE), "inspect", reference, "--insecure"]
    return subprocess.run(words, capture_output=True, text=True, timeout=180).returncode == 0


def test_no_tag_moves_until_every_check_has_passed(namespace):
    scanner, image = f"{REGISTRY}/e2e/checker", f"{REGISTRY}/e2e/checked"
    status = build(
        namespace,
        DOCKERFILE,
        output={"destinations": [f"{scanner}:1"]},
        verify=[{"name": "smoke", "kind": "test", "command": ["/bin/true"]}],
    )
    assert status["phase"] == "Succeeded", status
    assert status["verification"] == [{"name": "smoke", "kind": "test", "outcome": "Passed"}]

    output = {"destinations": [f"{image}:1"]}
    apply(manifest(DOCKERFILE, output=output, verify=checks(f"{scanner}:1", 8)), namespace)
    status = finished(namespace, generation=2)
    failure = status["failure"]
    assert failure["reason"] == "ImageTestFailed", status
    assert "it has 7" in failure["logTail"]
    assert [each["outcome"] for each in status["verification"]] == ["Failed", "Failed"]
    assert "CVE-2026-1 (critical) in libfoo 1, fixed in 2" in status["verification"][1]["message"]
    assert status["verification"][1]["findings"]["critical"] == 1
    assert not is_there(f"{image}:1")
    [inspected] = [word for word in failure["message"].split() if word.startswith(f"{image}@sha256:")]
    assert is_there(inspected.rstrip(")"))

    apply(manifest(DOCKERFILE, output=output, verify=checks(f"{scanner}:1", 7, "CVE-2026-1")), namespace)
    status = finished(namespace, generation=3)
    assert status["phase"] == "Succeeded", status
    assert [each["outcome"] for each in status["verification"]] == ["Passed", "Passed"]
    assert is_there(f"{image}:1")
