"""`kubectl strake cancel`: the end of the run that waits or goes on."""

from __future__ import annotations

import argparse
import sys

from strake_api.text import visible
from strake_kubectl.builds import CANCEL
from strake_kubectl.flags import add_cluster_flags, add_name, cluster_of
from strake_kubectl.view.documents import resource


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_name(parser)
    add_cluster_flags(parser)
    parser.set_defaults(handler=cancel)


def cancel(arguments: argparse.Namespace) -> int:
    """End the run that waits or goes on; return the exit status."""
    cluster = cluster_of(arguments)
    build, shown = cluster.get(arguments.name), visible(resource(arguments.name))
    if build.is_finished:
        sys.stdout.write(f"{shown} has no run to cancel: {build.status.phase}\n")
        return 0
    cluster.ask(arguments.name, CANCEL)
    sys.stdout.write(f"{shown} cancel requested\n")
    return 0
