"""The files of a release, made one after the other from one commit, and their digests."""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from release.files import ROOT, ReleaseError, commit_time, run, sha256, uncommitted
from release.notes import notes
from release.objects import write_chart, write_objects
from release.plugin import Contents, write_manifest, write_plugin
from release.versions import repeated, version

SUMS: Final = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a release is made like.

    Attributes:
        out: The directory of its files.
        registry: Where the images and the chart will be, as `registry.example/strake`.
        downloads: The URL under which the files of each release will be, by tag.
        is_draft: The changelog has no section for the version yet; the notes are of what is unreleased.
        architectures: Of the plugin.
        pythons: That the plugin runs with, in ascending order.
        kustomize: The command that renders a directory; empty for what PATH has.
    """

    out: Path
    registry: str
    downloads: str
    is_draft: bool
    architectures: tuple[str, ...]
    pythons: tuple[str, ...]
    kustomize: list[str]


def build(plan: Plan) -> list[Path]:
    """Make the files of a release; return their paths, with that of their digests last.

    They appear together: a release that fails leaves what was there before.

    Raises:
        ReleaseError: The tree is not that of one version or one commit, a program is missing or fails, or the
            directory has something else in it.
    """
    current = version(ROOT)
    repeated(ROOT, current)
    if not plan.is_draft and (changed := uncommitted(ROOT)):
        raise ReleaseError(f"no commit has {', '.join(changed[:5])} as it is: commit it, or make a --draft")
    if plan.out.exists() and any(plan.out.iterdir()) and not (plan.out / SUMS).exists():
        raise ReleaseError(
            f"{plan.out} has files that no release made: remove them, or name another with --out"
        )
    text = notes(ROOT, current, plan.registry, is_draft=plan.is_draft)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plan.out.parent, prefix=".release-") as directory:
        made = Path(directory, "files")
        made.mkdir()
        _make(plan, made, current, text)
        names = sorted(path.name for path in made.iterdir())
        sums = "".join(f"{sha256(made / name)}  {name}\n" for name in names)
        (made / SUMS).write_text(sums, encoding="utf-8")
        shutil.rmtree(plan.out, ignore_errors=True)
        made.rename(plan.out)
    return [plan.out / name for name in [*names, SUMS]]


def _make(plan: Plan, made: Path, current: str, text: str) -> None:
    moment = commit_time(ROOT)
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(made)]
    run(hatchling, "wheel and sdist", ROOT, SOURCE_DATE_EPOCH=str(moment))
    (wheel,) = made.glob("*.whl")
    (made / "RELEASE_NOTES.md").write_text(text, encoding="utf-8")
    write_chart(ROOT, made, current, plan.registry, moment)
    write_objects(ROOT, made, current, plan.registry, plan.kustomize)
    contents = Contents(ROOT, wheel, current, plan.pythons, moment)
    archives = {each: write_plugin(contents, made, each) for each in plan.architectures}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    write_manifest(made, current, plan.downloads, archives, project["description"])
