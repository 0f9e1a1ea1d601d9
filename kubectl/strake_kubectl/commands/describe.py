"""`kubectl strake describe`: one build on one screen."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from strake_kubectl.flags import add_cluster_flags, add_name, cluster_of
from strake_kubectl.view.description import describe as lines_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_name(parser)
    add_cluster_flags(parser)
    parser.set_defaults(handler=describe)


def describe(arguments: argparse.Namespace) -> int:
    """Print what, where, why and what next; return the exit status."""
    build = cluster_of(arguments).get(arguments.name)
    sys.stdout.write("\n".join(lines_of(build, datetime.now(UTC))) + "\n")
    return 0
