"""Release notes: a version's section of the changelog, with links that work outside the repository."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Final

from release.files import ReleaseError

UNRELEASED: Final = "Unreleased"
_HEADING: Final = re.compile(r"(?m)^## \[?(?P<name>[^\]\s]+)\]?.*\n")
_LINK: Final = re.compile(r"(?<=\]\()(?!\w+:|#)(?P<path>[^)\s]+)(?=\))")


def sections(changelog: str) -> dict[str, str]:
    """Return the sections of a changelog: `Unreleased` or a version → its text, without the heading."""
    parts = list(_HEADING.finditer(changelog))
    ends = [*(each.start() for each in parts[1:]), len(changelog)]
    return {
        each["name"]: changelog[each.end() : end].strip("\n") for each, end in zip(parts, ends, strict=True)
    }


def released(changelog: str, version: str, day: date) -> str:
    """Return a changelog in which what is unreleased is a version's, and nothing is unreleased.

    Raises:
        ReleaseError: Nothing is unreleased, or the version has a section already.
    """
    known = sections(changelog)
    if version in known:
        raise ReleaseError(f"CHANGELOG.md has a section for {version} already: choose the next version")
    if not known.get(UNRELEASED):
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased: there is nothing to release")
    heading = f"## {UNRELEASED}\n"
    return changelog.replace(heading, f"{heading}\n## {version} - {day.isoformat()}\n", 1)


def section(root: Path, version: str) -> str:
    """Return a version's section of the changelog.

    Raises:
        ReleaseError: It has none, or an empty one.
    """
    found = sections((root / "CHANGELOG.md").read_text(encoding="utf-8")).get(version)
    if not found:
        raise ReleaseError(
            f"CHANGELOG.md has no section for {version}: run python -m release prepare {version}, and commit"
        )
    return found


def notes(root: Path, version: str, registry: str, *, is_draft: bool = False) -> str:
    """Return the notes of a release, as markdown.

    Args:
        root: Of the tree.
        version: Without a `v`.
        registry: Where the images and the chart are.
        is_draft: Take what is unreleased.

    Raises:
        ReleaseError: The version has no section.
    """
    text = section(root, UNRELEASED if is_draft else version)
    source = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Source"]
    base = f"{source}/blob/{'main' if is_draft else f'v{version}'}"
    title = f"# Strake {version}" + (" (draft)" if is_draft else "")
    helm = f"helm upgrade --install strake oci://{registry}/charts/strake --version {version}"
    wheel = f"strake-{version}-py3-none-any.whl"
    install = f"""\
## Install

| what | how |
|---|---|
| helm | `{helm} --namespace strake-system --create-namespace` |
| kustomize | `kubectl apply -f install.yaml` |
| images | `{registry}/operator:{version}`, `{registry}/builder:{version}` |
| command line | `pip install ./{wheel}` |
| plugin | `kubectl krew install --manifest=strake.yaml`, or `pip install './{wheel}[kubectl,ui]'` |

`sha256sum --check SHA256SUMS` checks what you downloaded. Both ways of installation upgrade the CRDs.
"""
    linked = _LINK.sub(lambda link: f"{base}/{link['path']}", text)
    return f"{title}\n\n{install}\n{linked}\n"
