"""Reads every Dockerfile below a directory as BuildKit does: `python -m tests.oracles.directory DIR`.

For Dockerfiles of other people, as they lie in checked out repositories. Their base images are taken for one
that has nothing but a PATH, so nothing is pulled. Prints where the two disagree; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from strake_builder.frontend import DockerfileRefusedError, parse, plan
from strake_builder.frontend.model.planned import ImageBase
from strake_oci.spec.image import RuntimeConfig
from tests.oracles.comparison import AMD64, Difference, compare
from tests.oracles.go_oracle import GoOracle

SIZE_LIMIT = 1 << 20
_ANY = RuntimeConfig(env=("PATH=/usr/bin:/bin",))
_SHOWN = 400


def files(directory: Path) -> Iterator[Path]:
    """Yield what is named like a Dockerfile, links left out, in the order of the names."""
    for path in sorted(directory.rglob("*")):
        name = path.name.lower()
        is_named = name.startswith(("dockerfile", "containerfile")) or name.endswith(
            (".dockerfile", ".containerfile")
        )
        if is_named and not path.is_symlink() and path.is_file() and path.stat().st_size <= SIZE_LIMIT:
            yield path


def images(text: str) -> dict[str, RuntimeConfig]:
    """Return an image for every name that a file has for one; none where it is no Dockerfile."""
    try:
        planned = plan(parse(text), target=None, build_args={}, platform=AMD64, build_platform=AMD64)
    except DockerfileRefusedError:
        return {}
    named = {image for stage in planned.every_stage for image in stage.images}
    named |= {stage.base.reference for stage in planned.every_stage if isinstance(stage.base, ImageBase)}
    return dict.fromkeys(sorted(named), _ANY)


def differences(oracle: GoOracle, text: str) -> list[Difference]:
    """Return where BuildKit and Strake read a file otherwise."""
    return compare(oracle, text, images=images(text))


def main(arguments: list[str] | None = None) -> int:
    """Compare what the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.oracles.directory", description=__doc__)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args(arguments).directory
    counts: Counter[str] = Counter()
    oracle = GoOracle("buildkit")
    try:
        for path in files(directory):
            try:
                text = path.read_bytes().decode()
            except UnicodeDecodeError:
                counts["not UTF-8"] += 1
                continue
            found = differences(oracle, text)
            counts["different" if found else "alike"] += 1
            for each in found:
                print(
                    f"{path}: {each.what}\n  ours   {str(each.ours)[:_SHOWN]}\n  theirs {str(each.theirs)[:_SHOWN]}"
                )
    finally:
        oracle.close()
    print(
        f"{counts.total()} files: {', '.join(f'{number} {what}' for what, number in sorted(counts.items()))}"
    )
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
