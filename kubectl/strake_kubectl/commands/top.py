"""`kubectl strake top`: what runs and what waits."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from strake_kubectl.flags import add_cluster_flags, cluster_of
from strake_kubectl.view.queue import queue


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    add_cluster_flags(parser)
    parser.set_defaults(handler=top)


def top(arguments: argparse.Namespace) -> int:
    """Print the queue; return the exit status."""
    everywhere = arguments.all_namespaces
    builds = cluster_of(arguments).all(everywhere=everywhere)
    sys.stdout.write("\n".join(queue(builds, datetime.now(UTC), namespaces=everywhere)) + "\n")
    return 0
