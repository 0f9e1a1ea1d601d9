"""A cache mount of a gigabyte in pods: each begins with nothing, as on a node that never built the image.

    .venv/bin/python -m benchmarks.pods_cache_mounts [--megabytes 1000] [--rounds 3]

A step makes files of 10 MB, which do not compress, unless its cache mount has them. No pod shares anything
with another but the registry, and rows differ in what the cache repository has and in `cache.mounts`:

    fills       the repository is empty, and has the mount afterwards
    without     `cache.mounts.enabled: false`: every file is made again
    restores    the mount is restored, and nothing is new
    adds one    the mount is restored, and one file is new

Seconds are from `kubectl apply` to the condition Finished. Making a file costs little, so this shows what the
mount costs; what it saves is the work that real steps do in place of that.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import time

from benchmarks.pods import NAMESPACE, build, cluster

from tests.cluster.kubectl import kubectl
from tests.cluster.objects import ObjectError
from tests.cluster.settings import REGISTRY
from tests.demo.installation import install
from tests.demo.own_images import own_images
from tests.images.push import push_image

_FILE = 10
"""Megabytes."""
_MOVED = re.compile(r"(restored|kept): .* ([0-9.]+ [kMG]?B) (?:pulled|pushed)")


def _dockerfile(base: str, files: int) -> str:
    make = f"[ -e $i ] || {{ dd if=/dev/urandom of=$i bs=1M count={_FILE} 2>/dev/null; made=$((made+1)); }}"
    steps = (
        f": {time.time_ns()}; made=0; cd /c; for i in $(seq {files}); do {make}; done; echo made $made files"
    )
    return f"FROM {base}\nRUN --mount=type=cache,target=/c {steps}\n"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1000, help="what the mount holds (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="each with an empty repository (default: 3)")
    options = parser.parse_args()
    files, number = options.megabytes // _FILE, 0
    with cluster(in_memory=False):
        install(own_images(lambda _: None))
        base = f"{REGISTRY}/bench/tiny:1"
        push_image("tiny", base)
        with contextlib.suppress(ObjectError):
            kubectl("create", "namespace", NAMESPACE)
        rows: dict[str, list[tuple[float, str]]] = {}
        for turn in range(options.rounds):
            repository = f"{REGISTRY}/bench/mounts-{time.time_ns()}-{turn}"
            for row, count, kept in (
                ("fills", files, True),
                ("without", files, False),
                ("restores", files, True),
                ("adds one", files + 1, True),
            ):
                number += 1
                cache = {"repository": repository, "mounts": {"enabled": kept}}
                took = build(_dockerfile(base, count), number, cache=cache)
                rows.setdefault(row, []).append((took.digest, _moved(took.log)))
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    print("| build | to the digest, s | each, s | files made; moved |\n|---|---|---|---|")
    for row, found in rows.items():
        seconds = [each for each, _ in found]
        each = " ".join(f"{one:.1f}" for one in seconds)
        print(f"| {row} | {statistics.median(seconds):.1f} | {each} | {found[-1][1]} |")


def _moved(log: str) -> str:
    """Return what a build's log tells: how many files its step made, and what came or went for the mount."""
    made = re.search(r"made (\d+) files", log)
    moved = [f"{what} {size}" for what, size in _MOVED.findall(log)]
    return "; ".join([made[1] if made else "?", *moved])


if __name__ == "__main__":
    main()
