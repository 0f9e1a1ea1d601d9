"""The chart and deploy/ of a release name its registry, and never by halves."""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from release.files import ReleaseError
from release.objects import write_chart, write_objects
from release.versions import version
from tests.fixtures.narrow import present

ROOT = Path(__file__).resolve().parents[3]
VERSION = version(ROOT)
REGISTRY = "registry.test/team"


@pytest.fixture
def tree(tmp_path):
    for part in ("charts/strake", "deploy", "crds"):
        shutil.copytree(ROOT / part, tmp_path / "tree" / part)
    return tmp_path / "tree"


def test_a_chart_has_every_file_and_the_images_of_the_release(tmp_path):
    archive = write_chart(ROOT, tmp_path, VERSION, REGISTRY, 1_700_000_000)
    assert archive.name == f"strake-{VERSION}.tgz"
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        values = yaml.safe_load(present(packed.extractfile("strake/values.yaml")).read())
    tracked = [each for each in (ROOT / "charts/strake").rglob("*") if each.is_file()]
    assert len(names) == len([each for each in tracked if "__pycache__" not in each.parts])
    assert values["image"]["repository"] == f"{REGISTRY}/operator"
    assert values["builderImage"]["repository"] == f"{REGISTRY}/builder"


def test_a_chart_of_another_version_is_refused(tree, tmp_path):
    about = tree / "charts/strake/Chart.yaml"
    about.write_text(about.read_text().replace(f"\nversion: {VERSION}", "\nversion: 9.9.9"))
    with pytest.raises(ReleaseError, match=r"Chart\.yaml is not of version"):
        write_chart(tree, tmp_path, VERSION, REGISTRY, 0)


def test_an_image_elsewhere_is_refused(tree, tmp_path):
    values = tree / "charts/strake/values.yaml"
    values.write_text(values.read_text().replace("registry.example/strake/builder", "other.example/builder"))
    with pytest.raises(ReleaseError, match="one would be nobody's"):
        write_chart(tree, tmp_path, VERSION, REGISTRY, 0)


def test_what_renders_deploy_gets_the_registry(tmp_path):
    script = "import pathlib, sys; print((pathlib.Path(sys.argv[1]) / 'kustomization.yaml').read_text())"
    path = write_objects(ROOT, tmp_path, VERSION, REGISTRY, [sys.executable, "-c", script])
    assert f"newName: {REGISTRY}/operator" in path.read_text()
    assert f"STRAKE_BUILDER_IMAGE={REGISTRY}/builder:{VERSION}" in path.read_text()


def test_without_kustomize_the_release_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseError, match="install kustomize or kubectl"):
        write_objects(ROOT, tmp_path, VERSION, REGISTRY, [])
