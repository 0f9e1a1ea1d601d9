"""Times whole builds beside buildah, in one run, taking turns.

    .venv/bin/python -m benchmarks.builders [CASE…]

Prints wall-clock seconds, CPU seconds (of the builder and its steps) and the ratio to the peer. Base images
come from a registry on loopback and results go back to it. Cold means that nothing of the image is on the
machine. Numbers of different runs do not compare: the machine is noisy, the ratio is what counts.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.registry import LocalRegistry, running_registry
from tests.images.push import push_image

STRAKE = Path(sys.executable).parent / "strake"
ROUNDS = 2


@dataclass(frozen=True)
class Case:
    """A Dockerfile, in which BASE stands for Debian, and what makes its context."""

    dockerfile: str
    context: Callable[[Path], None] = lambda _: None


def _many_files(context: Path) -> None:
    for number in range(10_000):
        directory = context / f"d{number % 100}"
        directory.mkdir(exist_ok=True)
        (directory / f"f{number}").write_text(f"{number}\n" * 20)


CASES = {
    "small": Case("FROM BASE\nRUN echo 1 > /1\nRUN echo 2 > /2\nENV A=b\nRUN echo 3 > /3\n"),
    "big text layer": Case("FROM BASE\nRUN seq 1 43000000 > /big\n"),
    "incompressible layer": Case("FROM BASE\nRUN head -c 400000000 /dev/urandom > /big\n"),
    "50,000 files": Case(
        "FROM BASE\nRUN mkdir /many && cd /many && for d in $(seq 50); do mkdir $d; "
        "for f in $(seq 1000); do echo $f > $d/$f; done; done\n"
    ),
    "three stages": Case(
        "".join(f"FROM BASE AS s{n}\nRUN sleep 2; seq 1 3000000 > /out{n}\n" for n in range(3))
        + "FROM BASE\n"
        + "".join(f"COPY --from=s{n} /out{n} /\n" for n in range(3))
    ),
    "COPY of 10,000 files": Case("FROM BASE\nCOPY . /src\n", _many_files),
    "ten RUN": Case("FROM BASE\n" + "".join(f"RUN echo {n} > /{n}\n" for n in range(10))),
}


def strake(context: Path, destination: str, registry: LocalRegistry, work: Path) -> list[str]:
    """Return the command that builds with Strake."""
    flags = ["--work-dir", work, "--insecure-registry", registry.host, "--destination", destination]
    return list(map(str, [STRAKE, "build", "--context", context, *flags]))


def buildah(context: Path, destination: str, registry: LocalRegistry, work: Path) -> list[str]:
    """Return the command that builds and pushes with buildah, its storage in the work directory."""
    del registry
    place = f"--root {work}/storage --runroot {work}/run --storage-driver overlay"
    script = (
        # crun refuses a machine with both cgroup versions; buildah's mounts end with the namespace
        "umount -l /sys/fs/cgroup/unified 2>/dev/null; "
        f"buildah {place} build --layers --jobs 4 --tls-verify=false -q -t {destination} {context} "
        f"&& buildah {place} push -q --tls-verify=false {destination}"
    )
    return ["unshare", "--mount", "sh", "-c", script]


BUILDERS = {"strake": strake, "buildah": buildah}


def measure(command: list[str]) -> tuple[float, float]:
    """Run a command; return wall-clock and CPU seconds."""
    environment = {**os.environ, "HOME": "/nonexistent"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_case(name: str, registry: LocalRegistry) -> None:
    """Build a case with every builder in turn and print the best of each."""
    case, best = CASES[name], dict.fromkeys(BUILDERS, (float("inf"), 0.0))
    with tempfile.TemporaryDirectory(prefix="strake-bench-", dir="/var/tmp") as scratch:
        context = Path(scratch, "context")
        context.mkdir()
        case.context(context)
        dockerfile = case.dockerfile.replace("BASE", f"{registry.host}/library/debian:12")
        (context / "Dockerfile").write_text(dockerfile)
        for number in range(ROUNDS):
            for builder, command in BUILDERS.items():
                work = Path(scratch, f"work-{builder}-{number}")
                destination = f"{registry.host}/bench/{builder}-{number}-{time.time_ns()}:1"
                best[builder] = min(best[builder], measure(command(context, destination, registry, work)))
                shutil.rmtree(work, ignore_errors=True)
    ours, theirs = best["strake"], best["buildah"]
    columns = f"{ours[0]:8.2f} {ours[1]:6.2f}   {theirs[0]:7.2f} {theirs[1]:7.2f}"
    print(f"{name:<22} {columns}   {ours[0] / theirs[0]:5.2f}", flush=True)


def main(names: list[str]) -> None:
    """Run the cases named, or all."""
    print(f"{'cold build':<22} {'strake s':>8} {'cpu':>6}   {'buildah':>7} {'cpu':>7}   ratio")
    with running_registry() as registry:
        push_image("base", f"{registry.host}/library/debian:12")
        for name in names or CASES:
            run_case(name, registry)


if __name__ == "__main__":
    main(sys.argv[1:])
