"""Copying images between two local registries: `strake copy` beside skopeo and crane.

    .venv/bin/python -m benchmarks.oci_copy [--rounds 5] [--megabytes 1024] [--small 500]

Two loads: one layer of 1 GiB, and 500 layers of 64 KiB. Each copy goes into a registry that was just started,
and the tools take turns, so that none profits from another's caches. Wall-clock time and CPU time are the
medians of the rounds, memory is the largest resident set of all. Both registries run on this machine: what
they use of the processors is the same for every tool.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.builders.installed import installed_strake

from strake_oci.registry.images import RegistryImages
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import DiffID, Hasher
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.platform import Platform
from tests.fixtures.building.go_tools import crane, distribution
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import LocalRegistry, running_registry


@dataclass(frozen=True)
class Run:
    """One copy: seconds of wall clock, seconds of processor, KiB of memory."""

    wall: float
    cpu: float
    memory: int


def commands(source: str, destination: str) -> dict[str, list[str]]:
    """The command of each tool."""
    return {
        "strake": [str(installed_strake() / "strake"), "copy", "--insecure", source, destination],
        "skopeo": [
            *(
                "skopeo",
                "copy",
                "--quiet",
                "--preserve-digests",
                "--src-tls-verify=false",
                "--dest-tls-verify=false",
            ),
            *(f"docker://{source}", f"docker://{destination}"),
        ],
        "crane": [crane(), "copy", "--insecure", source, destination],
    }


# A child's largest resident set begins with its parent's: the one that starts it must be small.
_LAUNCHER = """
import resource, subprocess, sys, time
begun = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def measured(command: list[str]) -> Run:
    """Run a command to its end."""
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(launcher, check=True, capture_output=True, text=True)
    wall, cpu, memory = done.stdout.split()
    return Run(float(wall), float(cpu), int(memory))


def compare(source: LocalRegistry, name: str, rounds: int) -> None:
    """Copy an image with every tool in turn and print a table."""
    runs: dict[str, list[Run]] = {}
    for number in range(rounds):
        order = list(commands("", ""))
        for tool in order[number % 3 :] + order[: number % 3]:
            with running_registry(program=distribution()) as destination:
                command = commands(f"{source.host}/{name}:1", f"{destination.host}/{name}:1")[tool]
                runs.setdefault(tool, []).append(measured(command))
    best = min(statistics.median(run.wall for run in runs[tool]) for tool in runs if tool != "strake")
    print(f"\n{name}\n\n| tool | wall s | to the faster other | CPU s | memory MiB |\n|---|---|---|---|---|")
    for tool, made in runs.items():
        wall = statistics.median(run.wall for run in made)
        cpu = statistics.median(run.cpu for run in made)
        memory = max(run.memory for run in made) / 1024
        print(f"| {tool} | {wall:.2f} | {wall / best:.2f} | {cpu:.2f} | {memory:.0f} |")


def push_large(images: RegistryImages, megabytes: int) -> None:
    """Push an image of one layer, piece by piece: a child's memory is counted from its parent's on."""
    hasher = Hasher()
    with images.start_upload() as upload:
        for _ in range(megabytes):
            piece = os.urandom(1 << 20)
            upload.write(piece)
            hasher.update(piece)
        layer = upload.commit(hasher.digest(), mediatype.OCI_LAYER)
    config = ImageConfig(Platform("linux", "amd64"), diff_ids=(DiffID(layer.digest),)).serialize()
    described = Descriptor.of(mediatype.OCI_CONFIG, config)
    images.push_blob(described, lambda: io.BytesIO(config))
    images.push_manifest(Manifest(described, (layer,)).serialize(), mediatype.OCI_MANIFEST, "1")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--small", type=int, default=500)
    parser.add_argument("--only", action="append", choices=("large", "small"))
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="strake-bench-"))
        source = stack.enter_context(running_registry(program=distribution(), root=Path(folder)))
        with source.client() as client:
            push_large(RegistryImages(client, source.repository("bench/large")), options.megabytes)
            small = make_image(*(os.urandom(65536) for _ in range(options.small)))
            small.write(RegistryImages(client, source.repository("bench/small")), "1")
        for name in options.only or ("large", "small"):
            compare(source, f"bench/{name}", options.rounds)


if __name__ == "__main__":
    main()
