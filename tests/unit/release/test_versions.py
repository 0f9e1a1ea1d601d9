"""One command changes the version wherever it is, or nothing at all."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from release.files import ReleaseError
from release.versions import prepare, repeated, version

ROOT = Path(__file__).resolve().parents[3]
CURRENT = version(ROOT)
NEXT = f"{int(CURRENT.partition('.')[0]) + 1}.0.0"
DAY = date(2027, 1, 2)
FILES = ("pyproject.toml", "charts/strake/Chart.yaml", "deploy/kustomization.yaml", "CHANGELOG.md")


@pytest.fixture
def tree(tmp_path):
    """What of this tree has the version."""
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    for folder in ("docs", "examples"):
        (tmp_path / folder).mkdir()
    (tmp_path / "docs/page.md").write_text(f"`registry.example/strake/builder:{CURRENT}` and app:{CURRENT}\n")
    (tmp_path / "examples/pod.yaml").write_text("image: registry.example/app:1\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- News.\n")
    return tmp_path


def texts(tree: Path) -> dict[Path, str]:
    return {path: path.read_text() for path in tree.rglob("*") if path.is_file()}


def test_this_tree_is_of_one_version():
    repeated(ROOT, CURRENT)
    with pytest.raises(ReleaseError, match=rf"has the version {CURRENT}, and pyproject\.toml 9\.9\.9"):
        repeated(ROOT, "9.9.9")


def test_a_version_is_written_wherever_it_is(tree):
    changed = prepare(tree, NEXT, DAY)
    assert set(changed) == {*FILES, "docs/page.md"}
    assert version(tree) == NEXT
    repeated(tree, NEXT)
    assert (tree / "docs/page.md").read_text() == (
        f"`registry.example/strake/builder:{NEXT}` and app:{CURRENT}\n"
    )
    assert f"## {NEXT} - 2027-01-02\n" in (tree / "CHANGELOG.md").read_text()
    kustomization = (tree / "deploy/kustomization.yaml").read_text()
    assert f"newTag: {NEXT}\n" in kustomization
    assert f"strake/builder:{NEXT}\n" in kustomization


def test_the_first_release_has_the_version_that_the_tree_has(tree):
    assert prepare(tree, CURRENT, DAY) == ["CHANGELOG.md"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("v1.0.0", r"'v1\.0\.0' is no version MAJOR\.MINOR\.PATCH"),
        ("1.0.0rc1", "is no version"),
        ("1.0", "is no version"),
        ("01.0.0", "is no version"),
        ("0.0.1", "0.0.1 is older than"),
        ("1.0.0\nx", "is no version"),
    ],
)
def test_what_is_no_next_version_changes_nothing(tree, wanted, message):
    before = texts(tree)
    with pytest.raises(ReleaseError, match=message):
        prepare(tree, wanted, DAY)
    assert texts(tree) == before


def test_files_that_disagree_are_told_and_left(tree):
    chart = tree / "charts/strake/Chart.yaml"
    chart.write_text(chart.read_text().replace(f'appVersion: "{CURRENT}"', 'appVersion: "9.9.9"'))
    before = texts(tree)
    with pytest.raises(ReleaseError, match=r"Chart\.yaml has the version 9\.9\.9, and pyproject\.toml"):
        prepare(tree, NEXT, DAY)
    assert texts(tree) == before
