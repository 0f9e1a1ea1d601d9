"""requirements/*.txt hold what pyproject.toml asks for: `make lock` was run after the last change."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]
CLOUDS = [*EXTRAS["aws"], *EXTRAS["gcp"], *EXTRAS["azure"]]
LOCKS = {
    "builder.txt": [*NEEDED, *CLOUDS, *EXTRAS["sign"], *EXTRAS["completion"]],
    "operator.txt": [*NEEDED, *EXTRAS["operator"]],
    "kubectl.txt": [*NEEDED, *EXTRAS["kubectl"], *EXTRAS["ui"]],
    "build.txt": GROUPS["build"],
    "checkov.txt": GROUPS["checkov"],
    "dev.txt": [
        *NEEDED,
        *CLOUDS,
        *EXTRAS["sign"],
        *EXTRAS["operator"],
        *EXTRAS["kubectl"],
        *EXTRAS["completion"],
        *GROUPS["dev"],
    ],
}


def pinned(lock: str) -> dict[str, str]:
    lines = re.findall(
        r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / "requirements" / lock).read_text(), re.MULTILINE
    )
    return {canonicalize_name(name): version for name, version in lines}


@pytest.mark.parametrize(("lock", "line"), [(lock, line) for lock, lines in LOCKS.items() for line in lines])
def test_a_version_in_range_is_pinned(lock, line):
    need = Requirement(line)
    assert need.specifier.contains(pinned(lock)[canonicalize_name(need.name)])


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock):
    text = (ROOT / "requirements" / lock).read_text()
    assert len(re.findall(r"^\S+==.* \\$\n    --hash=sha256:", text, re.MULTILINE)) == len(
        re.findall(r"^\S+==", text, re.MULTILINE)
    )


def test_every_lock_is_watched():
    assert {path.name for path in (ROOT / "requirements").iterdir()} == set(LOCKS)
