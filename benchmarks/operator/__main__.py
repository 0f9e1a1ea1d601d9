"""The operator with thousands of ImageBuilds, on a real API server with a node that only says it runs pods.

    .venv/bin/python -m benchmarks.operator [--builds 10000] [--namespaces 200] [--waiting 5000] [--seconds 2]

What is measured, one after the other, with the operator as a process of this machine:

    start      ImageBuilds one by one, while slots are free: from each to its Job
    fairness   one namespace has thousands that wait, others make one build each: from that to its Job, beside
               the time that one run keeps a slot
    through    the rest, in all namespaces at once, until each has ended: requests, CPU and memory of it
    idle       requests while nothing happens and all builds are there with Job, pod and ConfigMap
    restart    the operator is killed and started: until it is ready, and until a new build has its Job

Requests are counted from the API server's audit log. Needs Go, to compile Kubernetes once
(`python -m tests.setup`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass

from benchmarks.operator.measure import Figures, idle, measure, restart
from benchmarks.operator.table import table

from tests.scale.control_plane import control_plane, running
from tests.scale.operator import operator


@dataclass(frozen=True)
class Arguments:
    """What the command line says."""

    builds: int
    namespaces: int
    waiting: int
    paced: int
    seconds: float
    slots: int
    idle: float


def main() -> None:
    """Measure, and print a table."""
    given = _arguments()
    figures = Figures(builds=given.builds, namespaces=given.namespaces)
    settings = {"STRAKE_MAX_RUNS": str(given.slots), "STRAKE_MAX_RUNS_PER_NAMESPACE": "0"}
    with control_plane() as plane:
        node = [
            sys.executable,
            "-m",
            "tests.scale.kubelet",
            plane.url,
            plane.token,
            "--seconds",
            str(given.seconds),
        ]
        with running(node, plane.directory / "kubelet.log"):
            with operator(plane, **settings) as first:
                asyncio.run(measure(plane, first, figures, waiting=given.waiting, paced=given.paced))
                asyncio.run(idle(plane, first, figures, given.idle))
            with operator(plane, name="restarted", **settings) as second:
                asyncio.run(restart(plane, second, figures))
    print(table(figures, slot=given.seconds))


def _arguments() -> Arguments:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--builds", type=int, default=10_000, help="in all")
    parser.add_argument("--namespaces", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=5_000, help="of them in one namespace at once")
    parser.add_argument("--paced", type=int, default=200, help="of them one by one, for the time to a Job")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a pod runs")
    parser.add_argument("--slots", type=int, default=40, help="runs at a time (STRAKE_MAX_RUNS)")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds")
    return Arguments(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
