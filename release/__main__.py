"""Everything that a release consists of, made from the one version in pyproject.toml.

python -m release prepare 0.2.0     write a version everywhere, and turn Unreleased of the changelog into it
python -m release check v0.2.0      say whether a tag is that of the version, and it has a section
python -m release build             make the release's files in dist/

docs/releasing.md tells the steps. Each artifact has a module of its own; what several share is in `files`.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from release.assembly import Plan, build
from release.files import ROOT, ReleaseError
from release.notes import section
from release.plugin import ARCHITECTURES, supported_pythons
from release.versions import prepare, repeated, version

_REGISTRY = "registry.example/strake"
_DOWNLOADS = "https://strake.dev/releases/download"


def main() -> int:
    """Do what the command line asks for; return the exit status."""
    words = _parser().parse_args()
    try:
        if words.command == "prepare":
            changed = prepare(ROOT, words.version, words.date)
            print("".join(f"{each}\n" for each in changed), end="")
        elif words.command == "check":
            _check(words.tag)
        else:
            for path in build(_plan(words)):
                print(path)
    except ReleaseError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _check(tag: str) -> None:
    current = version(ROOT)
    repeated(ROOT, current)
    if tag != f"v{current}":
        raise ReleaseError(
            f"the tag {tag} is not v{current}, the version in pyproject.toml: tag the right commit"
        )
    section(ROOT, current)


def _plan(words: argparse.Namespace) -> Plan:
    return Plan(
        out=words.out,
        registry=words.registry.rstrip("/"),
        downloads=words.downloads.rstrip("/"),
        is_draft=words.draft,
        architectures=tuple(words.architecture or ARCHITECTURES),
        pythons=tuple(words.python or supported_pythons(ROOT)),
        kustomize=words.kustomize.split(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m release", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    preparing = commands.add_parser("prepare", help="write a version everywhere")
    preparing.add_argument("version", help="as 0.2.0")
    preparing.add_argument("--date", type=date.fromisoformat, default=datetime.now(UTC).date())
    checking = commands.add_parser("check", help="compare a tag with the version")
    checking.add_argument("tag", help="as v0.2.0")
    building = commands.add_parser("build", help="make the files of the release")
    building.add_argument("--out", type=Path, default=ROOT / "dist", help="where to (dist)")
    building.add_argument(
        "--registry", default=_REGISTRY, help=f"where builder and operator are ({_REGISTRY})"
    )
    building.add_argument(
        "--downloads", default=_DOWNLOADS, help="the URL under which each version's files will be, by tag"
    )
    building.add_argument(
        "--draft",
        action="store_true",
        help="notes of what is under Unreleased: the version has no section yet",
    )
    building.add_argument(
        "--architecture", action="append", choices=ARCHITECTURES, help="of the plugin; repeat it"
    )
    building.add_argument(
        "--python", action="append", metavar="3.N", help="that the plugin runs with; repeat it"
    )
    building.add_argument(
        "--kustomize", default="", help="the command that renders a directory (found in PATH)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
