"""The workflow of a tag: what it runs is there, and it may do no more than it must."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / ".github/workflows/release.yaml").read_text()
WORKFLOW = yaml.safe_load(TEXT)
(JOB,) = WORKFLOW["jobs"].values()
SCRIPTS = [step["run"] for step in JOB["steps"] if "run" in step]


def test_a_tag_of_a_version_starts_it_and_nothing_else():
    assert WORKFLOW[True] == {"push": {"tags": ["v*"]}}, "`on` is true in YAML"


def test_it_may_push_packages_and_make_the_release():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOB["permissions"] == {"contents": "write", "packages": "write"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_name_of_a_tag_or_an_actor_becomes_part_of_a_script(script):
    assert "${{" not in script


def test_its_targets_of_make_are_there():
    known = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    wanted = {word for script in SCRIPTS for word in re.findall(r"\bmake ([a-z]+)", script)}
    assert wanted == {"image", "release"}
    assert wanted <= known


def test_the_tag_is_checked_before_anything_is_made_and_the_release_is_last():
    order = [
        name
        for script in SCRIPTS
        for name in re.findall(r"release check|make release|make image|helm push|gh release", script)
    ]
    assert order == ["release check", "make release", "make image", "helm push", "gh release"]
