"""The test cluster itself: up, up again, down without a trace, in a network of its own.

It runs beside a cluster that is in use: network, control group and directory are other ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cluster.settings import COVERED, DIR

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, os, subprocess, sys
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
from tests.cluster import lifecycle, network, settings
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import get

def traces():
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True).stdout
    return {
        "links": [line.split(": ")[1] for line in links.splitlines()],
        "rules": [rule for rule in rules.splitlines() if rule.startswith("-A")],
        "forward": open("/proc/sys/net/ipv4/ip_forward").read(),
        "directory": settings.DIR.exists(),
    }

found = {"before": traces()}
lifecycle.up()
first = (settings.DIR / "pid").read_text()
lifecycle.up()
found["same"] = (settings.DIR / "pid").read_text() == first
found["up"] = lifecycle.is_up()
kubectl("run", "it", f"--image={settings.PAUSE_IMAGE}")
kubectl("wait", "pod/it", "--for=condition=Ready", "--timeout=200s")
found["node"] = get("node", "node")["status"]["nodeInfo"]["kubeletVersion"]
lifecycle.down()
found["down"] = not lifecycle.is_up()
lifecycle.down()
found["after"] = traces()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def second(platform, tmp_path_factory):
    """Another cluster's life beside the one in use: its directory, and what it reported."""
    directory = tmp_path_factory.mktemp("second") / "cluster"
    done = in_another_network(SCRIPT, directory)
    assert done.returncode == 0, done.stderr
    return directory, json.loads(done.stdout.splitlines()[-1])


def test_up_and_down(second):
    directory, found = second
    assert found["node"] == "v1.36.3"
    assert (found["up"], found["same"], found["down"]) == (True, True, True)
    assert found["after"] == found["before"]
    left = subprocess.run(["pgrep", "-f", f"{directory}/"], capture_output=True, text=True).stdout
    assert left == ""
    groups = [path for path in Path("/sys/fs/cgroup").glob("*/cluster") if path.name == "cluster"]
    assert groups == []


def test_another_cluster_keeps_its_own_directories(second):
    """Ending one cluster must not take the runtime's state from another."""
    supervisor = (DIR / "pid").read_text()
    mounts = [Path(f"/proc/{child}/mounts").read_text() for child in children(supervisor)]
    assert mounts
    for path in COVERED:
        assert all(f" {path} tmpfs" in each for each in mounts), path


BROKEN = """
import subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
from tests.cluster import lifecycle, settings
right = lifecycle.configure
def wrong(programs):
    right(programs)
    (settings.DIR / "registry.json").write_text("{")
lifecycle.configure = wrong
try:
    lifecycle.up()
except lifecycle.ClusterError as error:
    print(error)
"""


def test_a_failure_names_the_log(tmp_path):
    done = in_another_network(BROKEN, tmp_path / "broken")
    assert f"registry ended with status 1: see {tmp_path}/broken/registry.log" in done.stdout, done.stderr
    assert "configuration" in done.stdout, "the end of the log is quoted"
    assert (tmp_path / "broken/registry.log").exists()


def children(pid: str) -> list[str]:
    found = subprocess.run(["pgrep", "-P", pid], capture_output=True, text=True, check=True)
    return found.stdout.split()


def in_another_network(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--net", "--mount", "--propagation=private", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        env={**os.environ, "STRAKE_CLUSTER_DIR": str(directory)},
    )
