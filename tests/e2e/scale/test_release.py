"""The files of a release, as people take them: the plugin by krew, the chart by helm, deploy/ by kubectl, pip's wheel.

The archive of the plugin has the packages for this Python and machine alone, and not for all, which takes a minute.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.cluster.binaries import binaries
from tests.fixtures.building.go_tools import krew, krew_validator, kustomize
from tests.fixtures.servers.registry import running_registry
from tests.helm.charts import CHART, MAJORS, ROOT, by_key, helm, kustomized, rendered

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
REGISTRY = "registry.test/team"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The files of a draft."""
    out = tmp_path_factory.mktemp("release") / "dist"
    python = ".".join(map(str, sys.version_info[:2]))
    words = [f"--architecture={ARCHITECTURE}", f"--python={python}", f"--kustomize={kustomize()} build"]
    command = [
        sys.executable,
        "-m",
        "release",
        "build",
        "--draft",
        f"--out={out}",
        f"--registry={REGISTRY}",
        *words,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = [Path(line).name for line in done.stdout.splitlines()]
    assert (set(made), made[-1]) == ({path.name for path in out.iterdir()}, "SHA256SUMS")
    return out


@pytest.fixture(scope="module")
def plugins(made, tmp_path_factory) -> Path:
    """The directory of programs of krew, which installed the plugin from the archive and the manifest."""
    root = tmp_path_factory.mktemp("krew")
    archive = made / f"kubectl-strake-linux-{ARCHITECTURE}.tar.gz"
    command = [krew(), "install", f"--manifest={made / 'strake.yaml'}", f"--archive={archive}"]
    done = subprocess.run(command, env={**os.environ, "KREW_ROOT": str(root)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "It needs python3" in done.stderr
    return root / "bin"


def kubectl(plugins: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl with the plugins of krew, and of nothing else."""
    environment = {**os.environ, "PATH": f"{plugins}:/usr/bin:/bin", "KUBECONFIG": "/dev/null"}
    command = [str(binaries() / "kubectl"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=plugins)


def test_the_index_of_krew_takes_the_manifest(made):
    command = [krew_validator(), "-manifest", str(made / "strake.yaml"), "-skip-install"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_kubectl_runs_the_plugin_that_krew_installed(plugins):
    listed = kubectl(plugins, "plugin", "list")
    assert listed.stdout.split()[-1] == str(plugins / "kubectl-strake"), listed.stderr
    shown = kubectl(plugins, "strake", "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("usage: kubectl strake ")
    checked = kubectl(plugins, "strake", "lint", str(ROOT / "examples/hello/imagebuild.yaml"))
    assert (checked.returncode, "hello: no findings" in checked.stdout) == (0, True), checked.stderr
    assert kubectl(plugins, "strake", "ui", "--help").returncode == 0, "with all that pages are made by"
    alone = kubectl(plugins, "strake", "get")
    assert (alone.returncode, "there is no cluster to speak to" in alone.stderr) == (1, True), alone.stderr


def test_the_chart_has_the_files_that_helm_would_pack_and_renders_as_the_directory(made, tmp_path):
    archive = made / f"strake-{VERSION}.tgz"
    packed = helm("package", str(CHART), f"--destination={tmp_path}")
    assert packed.returncode == 0, packed.stderr
    with tarfile.open(archive) as ours, tarfile.open(tmp_path / archive.name) as theirs:
        assert sorted(ours.getnames()) == sorted(theirs.getnames())
    shown = helm("show", "chart", str(archive))
    assert yaml.safe_load(shown.stdout)["appVersion"] == VERSION
    images = [f"image.repository={REGISTRY}/operator", f"builderImage.repository={REGISTRY}/builder"]
    assert rendered(chart=archive) == rendered(*(f"--set={each}" for each in images))


@pytest.mark.parametrize("major", MAJORS)
def test_the_chart_comes_from_a_registry(made, tmp_path, major):
    with running_registry() as registry:
        repository = f"oci://{registry.host}/team/charts"
        pushed = helm("push", str(made / f"strake-{VERSION}.tgz"), repository, "--plain-http", major=major)
        assert pushed.returncode == 0, pushed.stderr
        where = [f"{repository}/strake", f"--version={VERSION}", "--plain-http"]
        pulled = helm("pull", *where, f"--destination={tmp_path}", major=major)
    assert pulled.returncode == 0, pulled.stderr
    assert (tmp_path / f"strake-{VERSION}.tgz").read_bytes() == (made / f"strake-{VERSION}.tgz").read_bytes()


def test_one_file_has_all_that_kustomize_installs(made):
    text = (made / "install.yaml").read_text()
    objects = by_key(yaml.safe_load_all(text))
    assert {key[:2] for key in objects} == {key[:2] for key in kustomized(ROOT / "deploy")}
    assert "registry.example/strake" not in text
    (deployment,) = [each for key, each in objects.items() if key[0] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{REGISTRY}/operator:{VERSION}"


def test_the_digests_are_those_of_the_files(made):
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert len(done.stdout.splitlines()) == len(list(made.iterdir())) - 1
    assert {path.suffix for path in made.iterdir()} == {"", ".whl", ".gz", ".tgz", ".yaml", ".md"}


def test_a_directory_with_other_files_is_left_as_it_is(tmp_path):
    (tmp_path / "mine").write_text("precious")
    command = [sys.executable, "-m", "release", "build", "--draft", f"--out={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"error: {tmp_path} has files that no release made: remove them, or name another with --out\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
