"""Strake's chart, as helm renders it, and what kustomize makes of deploy/."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.fixtures.building import go_tools

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/strake"
KUBERNETES = "1.35.0"
"""What the objects are rendered for: helm knows no cluster then."""
MAJORS = (3, 4)
"""Versions of helm that people have."""
Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace ("" of what has none) and name."""


def helm(*words: str, kubeconfig: Path | None = None, major: int = 3) -> subprocess.CompletedProcess[str]:
    """Run helm, which leaves nothing in the user's home; its answer may be a refusal.

    Args:
        *words: The command line.
        kubeconfig: Of a cluster; None for none.
        major: The version of helm, of MAJORS.
    """
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "KUBECONFIG": str(kubeconfig or "/dev/null")}
        return subprocess.run([go_tools.helm(major), *words], env=environment, capture_output=True, text=True)


def template(
    *words: str, namespace: str = "strake-system", chart: Path = CHART, major: int = 3
) -> subprocess.CompletedProcess[str]:
    """Render a chart; what helm writes may be a refusal."""
    where = ["strake", str(chart), f"--kube-version={KUBERNETES}", f"-n={namespace}"]
    return helm("template", *where, *words, major=major)


def rendered(
    *words: str, namespace: str = "strake-system", chart: Path = CHART, major: int = 3
) -> dict[Key, Object]:
    """Return the objects that a chart makes of values."""
    done = template(*words, namespace=namespace, chart=chart, major=major)
    assert done.returncode == 0, done.stderr
    return by_key(yaml.safe_load_all(done.stdout))


def kustomized(directory: Path) -> dict[Key, Object]:
    """Return the objects that kustomize makes of a directory."""
    done = subprocess.run(
        [go_tools.kustomize(), "build", str(directory)], capture_output=True, text=True, check=True
    )
    return by_key(yaml.safe_load_all(done.stdout))


def by_key(objects: Iterable[Object | None]) -> dict[Key, Object]:
    """Return objects by kind, namespace and name, each of which is there once."""
    found: dict[Key, Object] = {}
    for each in objects:
        if each:
            metadata: Mapping[str, str] = each["metadata"]
            key = (each["kind"], metadata.get("namespace", ""), metadata["name"])
            assert key not in found, f"{key} is there twice"
            found[key] = each
    return found
