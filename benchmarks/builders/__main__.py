"""Times whole builds beside BuildKit and buildah, taking turns in one run.

Every build begins on a disk of its own, with the base image in a registry on the same machine, and
ends with the image pushed to it. A daemon (buildkitd) runs before the clock starts. Numbers of different runs
do not compare: the ratio does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

_EPILOG: Final = """\
examples:
  python -m benchmarks.builders                               everything: about an hour
  python -m benchmarks.builders small ten --rounds 5          two cases
  python -m benchmarks.builders random --builder strake       one builder alone, without a ratio
  python -m benchmarks.builders small --kaniko ./executor     kaniko's executor, too
  python -m benchmarks.builders small --builder strake --isolation nested --isolation chroot

columns:
  seconds       wall clock of the build with its push, the fastest round
  to the fastest peer   seconds divided by those of the fastest builder that is not Strake; where all are,
                by those of the first
  CPU s         processor time, of the steps too; the smallest of the rounds
  memory MiB    peak of the builder's own processes, the steps' left out; the largest of the rounds
  pulled, pushed MB   bytes from and to the registry on the wire

How each is measured is written at the top of benchmarks/builders/measure.py and registry.py.
Needs root, docker-registry, crun, iproute2, and Go to compile BuildKit the first time (some minutes).
"""


def _parser() -> argparse.ArgumentParser:
    from benchmarks.builders.cases import CASES
    from benchmarks.builders.peers import BUILDERS

    cases = "\n".join(f"  {name:<13} {case.title} ({case.before.value})" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.builders",
        description=__doc__,
        epilog=f"cases:\n{cases}\n\n{_EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="which cases (default: all)")
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="builds of each builder and case (default: 3)"
    )
    parser.add_argument(
        "--builder",
        action="append",
        choices=tuple(BUILDERS),
        help="only this builder; may be given more than once (default: all)",
    )
    parser.add_argument(
        "--isolation",
        action="append",
        default=[],
        choices=("root", "nested", "chroot"),
        help="measure Strake in this way of isolation, too; may be given more than once",
    )
    parser.add_argument(
        "--kaniko", type=Path, metavar="PATH", help="kaniko's executor, which is measured beside the others"
    )
    parser.add_argument(
        "--drop-caches",
        action="store_true",
        help="empty the machine's page cache before each timed build: the registry then reads from disk, and "
        "so does the start of programs that no daemon keeps in memory",
    )
    return parser


def main() -> int:
    """Measure and print; return 1 if a build failed."""
    from benchmarks.builders.cases import CASES
    from benchmarks.builders.kaniko import Kaniko
    from benchmarks.builders.peers import BUILDERS, Strake
    from benchmarks.builders.registry import enter_namespaces
    from benchmarks.builders.run import Settings, run_case
    from benchmarks.builders.table import heading, rows

    from tests.images.layouts import image_layout

    parser = _parser()
    options = parser.parse_args()
    if unknown := [name for name in options.cases if name not in CASES]:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    builders = [BUILDERS[name] for name in BUILDERS if name in (options.builder or BUILDERS)]
    builders += map(Strake, options.isolation)
    if options.kaniko is not None:
        builders.append(Kaniko(options.kaniko.resolve(strict=True)))
    for builder in builders:
        builder.programs()  # installs and compiles, while there is still a network
    image_layout("base")
    enter_namespaces()
    print(heading(builders, options.rounds), flush=True)
    failed = False
    for name in options.cases or CASES:
        costs = run_case(CASES[name], builders, Settings(options.rounds, options.drop_caches))
        failed = failed or None in costs.values()
        print(rows(CASES[name].title, costs), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
