"""A one-node Kubernetes for tests: compiled once, up in seconds, gone without a trace.

    python -m tests.cluster up         compile what is missing (some ten minutes the first time), start
    python -m tests.cluster down       stop everything, undo mounts, bridge and rules
    python -m tests.cluster status     say what runs
    python -m tests.cluster binaries   compile only, print the programs' directory

Needs root, what `make setup` installs, and a kernel that queues packets (NFQUEUE), by which NetworkPolicies are
in force. Programs are kept under $XDG_CACHE_HOME/strake/cluster,
state is in $STRAKE_CLUSTER_DIR (/var/lib/strake-cluster).
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cluster.binaries import binaries
from tests.cluster.lifecycle import ClusterError, down, environment, is_up, up
from tests.cluster.processes import supervise
from tests.cluster.requirements import MissingRequirementsError
from tests.cluster.settings import DIR, REGISTRY


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    match arguments:
        case ["up"]:
            up()
            print("".join(f"export {name}={value}\n" for name, value in environment().items()), end="")
        case ["down"]:
            down()
        case ["status"]:
            print(f"up: registry at {REGISTRY}, logs in {DIR}" if is_up() else "down")
        case ["binaries"]:
            print(binaries())
        case ["supervise", programs]:
            supervise(Path(programs))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ClusterError, MissingRequirementsError) as problem:
        sys.exit(f"error: {problem}")
