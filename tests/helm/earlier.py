"""What an upgrade starts from: chart and operator of the last release, or the first chart that there was.

A repository without tags, or a clone without its history, has the first: it is kept beside this file, so that there is always
something to upgrade. It is charts/strake of the commit that added the chart, and is never changed; the operator is the
tree's then.
"""

from __future__ import annotations

import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FIRST = Path(__file__).with_name("first") / "strake.tgz"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an upgrade starts from.

    Attributes:
        what: It is of.
        chart: The chart's directory.
        sources: The root of the tree that has its operator; None where only the chart is kept.
    """

    what: str
    chart: Path
    sources: Path | None


def earlier(directory: Path, root: Path = ROOT) -> Earlier:
    """Unpack what to upgrade from.

    Args:
        directory: Where to.
        root: Of the repository.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tag = last_release(root)
    if tag is None:
        with tarfile.open(FIRST) as archive:
            archive.extractall(directory, filter="data")
        return Earlier("the first chart", directory / "strake", None)
    packed = directory / "sources.tar"
    command = ["git", "archive", "--format=tar", f"--output={packed}", tag]
    subprocess.run(command, cwd=root, check=True)
    with tarfile.open(packed) as archive:
        archive.extractall(directory, filter="data")
    return Earlier(tag, directory / "charts/strake", directory)


def last_release(root: Path) -> str | None:
    """Return the newest tag of a version before this commit; None where there is none.

    A commit that is tagged itself is compared with the release before it.
    """
    command = ["git", "tag", "--merged", "HEAD^", "--sort=-version:refname", "--list", "v[0-9]*"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    # Without a parent commit, as in a shallow clone, git ends with an error: there is no history to read.
    tags = done.stdout.split() if done.returncode == 0 else []
    return tags[0] if tags else None


def schema(chart: Path, resource: str = "imagebuilds", part: str = "spec") -> dict[str, Any]:
    """Return the schema of a part of a resource, from a chart's CRD."""
    definition = yaml.load((chart / f"files/crds/{resource}.yaml").read_text(), yaml.CSafeLoader)
    (version,) = definition["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"][part]
    return found
