"""`kubectl strake` in a cluster, as a plugin of kubectl: from a directory to an image, and what to do next."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cluster.lifecycle import environment
from tests.cluster.settings import REGISTRY
from tests.e2e.builds import building, gated, status_of
from tests.e2e.conftest import TINY
from tests.fixtures.building.builds import STRAKE

LONG = 600


@pytest.fixture
def strake(namespace):
    """Run a command of the plugin in the namespace."""
    variables = {**os.environ, **environment()}
    variables["PATH"] = f"{Path(STRAKE).parent}{os.pathsep}{variables['PATH']}"

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "strake", *words, "-n", namespace]
        return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=LONG)

    return ran


def directory(top: Path, dockerfile: str) -> Path:
    top.mkdir(exist_ok=True)
    (top / "Dockerfile").write_text(dockerfile)
    (top / "motd").write_text("hello\n")
    return top


def test_a_directory_becomes_an_image_and_a_failure_its_exit_status(strake, namespace, tmp_path):
    own = directory(tmp_path / "app", f"FROM {TINY}\nCOPY motd /\nRUN cat /motd\n")
    to = ("-t", f"{REGISTRY}/{namespace}/app:1", f"--insecure-registry={REGISTRY}")
    done = strake("build", str(own), *to)
    assert done.returncode == 0, done.stderr
    assert "| hello\n" in done.stderr
    status = status_of(namespace)
    assert done.stdout == f"{status['image']}\n"
    assert strake("get", "app").stdout.splitlines()[1].split()[:4] == ["app", "Succeeded", "Pushed", "1"]

    assert strake("rerun", "app").stdout == "imagebuild.strake.dev/app rerun requested\n"
    again = strake("wait", "app")
    assert (again.returncode, status["image"].partition("@")[0] in again.stdout) == (0, True), again.stderr
    assert status_of(namespace)["run"]["requestedBy"] == "kubectl-strake"
    kept = strake("logs", "app")
    assert "| hello\n" in kept.stdout
    assert kept.stderr == ""
    gone = strake("logs", "app", "--run", "1")
    assert (gone.returncode, "the platform keeps no logs" in gone.stderr) == (1, True), gone.stdout

    directory(own, f"FROM {TINY}\nRUN exit 3\n")
    failed = strake("build", str(own), *to)
    assert (failed.returncode, failed.stdout) == (7, ""), failed.stderr
    assert "error: RunStepFailed" in failed.stderr
    shown = strake("describe", "app").stdout
    assert "Why      Dockerfile:2: RUN exit 3" in shown
    assert f"kubectl strake rerun app -n {namespace}" in shown


def test_a_cancel_ends_what_is_followed(strake, namespace, tmp_path):
    dockerfile, _ = gated(namespace)
    own = directory(tmp_path / "app", dockerfile.replace("TINY", TINY))
    to = ("-t", f"{REGISTRY}/{namespace}/app:1", f"--insecure-registry={REGISTRY}")
    assert strake("build", str(own), *to, "--detach").returncode == 0
    building(namespace, "RUN until")
    assert strake("cancel", "app").stdout == "imagebuild.strake.dev/app cancel requested\n"
    ended = strake("wait", "app")
    assert (ended.returncode, "Cancelled" in ended.stdout) == (143, True), ended.stderr
