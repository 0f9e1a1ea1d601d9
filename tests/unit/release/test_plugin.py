"""The plugin's launcher and manifest; tests/e2e/scale/test_release.py installs a whole one."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from release.files import ReleaseError
from release.plugin import Contents, supported_pythons, write_manifest, write_plugin
from release.versions import version

ROOT = Path(__file__).resolve().parents[3]
HERE = ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def packages(monkeypatch):
    """What wheels bring for each Python, instead of a download."""
    brought = {
        "3.98": {"strake_kubectl/main.py": "def main(): print('ran')\n", "strake_kubectl/__init__.py": ""}
    }

    def install(contents, directory, architecture, python):
        for name, text in brought.get(python, brought["3.98"]).items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)

    monkeypatch.setattr("release.plugin._install", install)
    return brought


def unpacked(tmp_path, *pythons: str) -> Path:
    contents = Contents(ROOT, tmp_path / "strake.whl", "1.2.3", pythons, 1_700_000_000)
    archive = write_plugin(contents, tmp_path, "amd64")
    subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    return tmp_path / "kubectl-strake"


def test_the_launcher_runs_what_is_beside_it_through_a_link(tmp_path, packages):
    link = tmp_path / "bin/kubectl-strake"
    link.parent.mkdir()
    link.symlink_to(unpacked(tmp_path, HERE))
    ran = subprocess.run([sys.executable, str(link)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "ran\n"), ran.stderr


def test_another_python_is_told_which_it_runs_with(tmp_path, packages):
    program = unpacked(tmp_path, "3.98", "3.99")
    ran = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"error: kubectl strake runs with Python 3.98 to 3.99, and python3 is {HERE}" in ran.stderr
    assert "pip install 'strake[kubectl,ui]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_metadata_of_one_python_is_left_out_and_licenses_stay(tmp_path, packages):
    more = {"a.dist-info/RECORD": "1", "a.dist-info/METADATA": "m", "a.dist-info/licenses/x/LICENSE": "l"}
    packages["3.98"] |= more | {"bin/tool": "#!/x/python3", "a/__pycache__/b.pyc": "c"}
    unpacked(tmp_path, HERE)
    names = {path.relative_to(tmp_path / "lib").as_posix() for path in (tmp_path / "lib").rglob("*.*")}
    assert not (tmp_path / "lib/bin").exists()
    assert not (tmp_path / "lib/a").exists()
    assert not (tmp_path / "lib/a.dist-info/RECORD").exists()
    assert (tmp_path / "lib/a.dist-info/licenses/x/LICENSE").read_text() == "l"
    assert "strake_kubectl/main.py" in names


def test_files_that_one_directory_cannot_have_for_both_are_refused(tmp_path, packages):
    packages["3.99"] = {"strake_kubectl/main.py": "other"}
    with pytest.raises(
        ReleaseError, match=r"lib/strake_kubectl/main\.py differs between Python 3\.98 and 3\.99"
    ):
        unpacked(tmp_path, "3.98", "3.99")


def test_the_manifest_names_each_archive_by_its_digest(tmp_path):
    archives = {"amd64": tmp_path / "a.tar.gz", "arm64": tmp_path / "b.tar.gz"}
    for name, path in archives.items():
        path.write_text(name)
    path = write_manifest(tmp_path, "1.2.3", "https://downloads.test", archives, "Summary")
    document = yaml.safe_load(path.read_text())
    assert path.name == f"{document['metadata']['name']}.yaml", "krew wants the plugin's name"
    assert document["spec"]["version"] == "v1.2.3"
    for each, name in zip(document["spec"]["platforms"], archives, strict=True):
        assert each["selector"]["matchLabels"] == {"os": "linux", "arch": name}
        assert each["sha256"] == hashlib.sha256(name.encode()).hexdigest()
        assert each["uri"].startswith("https://downloads.test/v1.2.3/")


def test_the_pythons_are_those_of_the_package():
    assert supported_pythons(ROOT)[0] == "3.11"
    assert HERE in supported_pythons(ROOT)
    assert version(ROOT)
