"""The files that a visitor sees first: what they name is there, and what reads them can."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.needs import MARKERS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md"]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
FORMS = [*sorted((ROOT / ".github").rglob("*.y*ml")), ROOT / ".pre-commit-config.yaml"]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text())
    assert [each for each in targets if "://" not in each and not (ROOT / each).exists()] == []


def test_every_path_in_the_guide_is_there():
    named = re.findall(
        r"`((?:api|oci|builder|operator|tests|docs|deploy|requirements)/[^`\s*]*)`", CONTRIBUTING
    )
    assert len(named) > 20
    assert [each for each in named if not (ROOT / each).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_target_of_make_is_there(page):
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = re.findall(r"(?:`|^)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
    assert set(words) <= known


def test_every_suite_is_in_the_table_with_what_it_needs():
    rows = re.findall(r"^\| `(tests/\w+)` \|[^|]*\|([^|]*)\|", CONTRIBUTING, re.MULTILINE)
    suites = {path.relative_to(ROOT).parts[1] for path in (ROOT / "tests").rglob("test_*.py")}
    assert {name for name, _ in rows} == {f"tests/{suite}" for suite in suites}
    assert {word for _, needed in rows for word in re.findall(r"`(\w+)`", needed)} == set(MARKERS)


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_every_form_is_yaml(form):
    assert isinstance(yaml.safe_load(form.read_text()), dict)


def test_the_workflow_runs_what_continuous_integration_runs():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert any(".ci/run" in step.get("run", "") for step in steps)
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hooks_are_the_checks_of_make_lint():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    lint = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    for hook in repository["hooks"]:
        assert hook["entry"].removesuffix(" --force-exclude").split(" --check")[0] in lint


def test_the_license_is_the_one_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
