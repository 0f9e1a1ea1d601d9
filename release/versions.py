"""The version: pyproject.toml has it, and what cannot derive it there repeats it.

`prepare` is the one way to change it, so that nothing is forgotten.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from release.files import ReleaseError
from release.notes import released

_FORM: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_LINES: Final = {
    "pyproject.toml": (r'(?m)^(version = ")([^"]+)(")',),
    "charts/strake/Chart.yaml": (r"(?m)^(version: )(\S+)()$", r'(?m)^(appVersion: ")([^"]+)(")$'),
    "deploy/kustomization.yaml": (
        r"(?m)^(    newTag: )(\S+)()$",
        r"(?m)^(      - STRAKE_BUILDER_IMAGE=\S+:)([^:\s]+)()$",
    ),
}
"""File → what has the version as its second group, once each."""
_IMAGE: Final = re.compile(r"(strake/(?:builder|operator):|charts/strake --version )(\d[\w.]*)()")
"""In pages and examples."""


def version(root: Path) -> str:
    """Return the version of the tree."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def repeated(root: Path, wanted: str) -> None:
    """Compare the files that repeat the version with it.

    Raises:
        ReleaseError: One says another, or does not have it.
    """
    for file, patterns in _LINES.items():
        text = (root / file).read_text(encoding="utf-8")
        for pattern in patterns:
            found = [match[2] for match in re.finditer(pattern, text)]
            if found != [wanted]:
                raise ReleaseError(
                    f"{file} has the version {', '.join(found) or 'nowhere'}, and pyproject.toml {wanted}:"
                    " run python -m release prepare"
                )


def prepare(root: Path, wanted: str, day: date) -> list[str]:
    """Write a version wherever it is repeated, and turn Unreleased of the changelog into its section.

    Args:
        root: Of the tree.
        wanted: `MAJOR.MINOR.PATCH`: Python and helm write anything beside it differently.
        day: Of the release.

    Returns:
        The files that changed, from the root.

    Raises:
        ReleaseError: It is no such version, or older than the tree's, or was released; or nothing is
            unreleased. No file has been changed then.
    """
    if not _FORM.fullmatch(wanted):
        raise ReleaseError(f"{wanted!r} is no version MAJOR.MINOR.PATCH, as 0.2.0")
    current = version(root)
    if _order(wanted) < _order(current):
        raise ReleaseError(f"{wanted} is older than {current}, the version in pyproject.toml")
    repeated(root, current)
    texts = dict(_replaced(root, wanted))
    texts["CHANGELOG.md"] = released((root / "CHANGELOG.md").read_text(encoding="utf-8"), wanted, day)
    changed = [file for file, text in texts.items() if (root / file).read_text(encoding="utf-8") != text]
    for file in changed:
        (root / file).write_text(texts[file], encoding="utf-8")
    return changed


def _replaced(root: Path, wanted: str) -> Iterator[tuple[str, str]]:
    for file, patterns in _LINES.items():
        text = (root / file).read_text(encoding="utf-8")
        for pattern in patterns:
            text = re.sub(pattern, rf"\g<1>{wanted}\g<3>", text)
        yield file, text
    pages = [
        *(root / "docs").rglob("*.md"),
        *(each for each in (root / "examples").rglob("*") if each.is_file()),
    ]
    for page in sorted(pages):
        yield (
            page.relative_to(root).as_posix(),
            _IMAGE.sub(rf"\g<1>{wanted}\g<3>", page.read_text(encoding="utf-8")),
        )


def _order(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
