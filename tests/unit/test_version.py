"""The version is written in pyproject.toml; what repeats it, since nothing can derive it there, says the same."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_package_installed():
    assert version("strake") == VERSION


def test_the_images_that_make_builds():
    words = ["make", "--dry-run", "image", "REGISTRY=registry.example/strake"]
    printed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f"registry.example/strake/$target:{VERSION} " in printed


def test_the_images_that_are_deployed():
    made = yaml.safe_load((ROOT / "deploy/kustomization.yaml").read_text())
    assert [image["newTag"] for image in made["images"]] == [VERSION]
    (settings,) = [each["literals"] for each in made["configMapGenerator"] if "literals" in each]
    (image,) = [each for each in settings if each.startswith("STRAKE_BUILDER_IMAGE=")]
    assert image.rpartition(":")[2] == VERSION


def test_the_chart_that_is_released_with_them():
    chart = yaml.safe_load((ROOT / "charts/strake/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


PAGES = sorted((ROOT / "docs").rglob("*.md"))
_TAG = r"(?:strake/(?:builder|operator):|charts/strake --version )(\d[\w.]*)"
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.is_file())


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_no_other_version_of_the_images(page):
    for tag in re.findall(_TAG, page.read_text()):
        assert tag == VERSION


def test_the_changelog_has_a_section_for_the_version_to_come():
    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert len(headings) == len(set(headings))
