"""`kubectl strake rerun`: another run of the same spec."""

from __future__ import annotations

import argparse
import sys

from strake_api.text import visible
from strake_kubectl.builds import RERUN
from strake_kubectl.flags import add_cluster_flags, add_name, cluster_of
from strake_kubectl.view.documents import resource


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    add_name(parser)
    add_cluster_flags(parser)
    parser.set_defaults(handler=rerun)


def rerun(arguments: argparse.Namespace) -> int:
    """Ask for another run of the same spec; return the exit status."""
    cluster_of(arguments).ask(arguments.name, RERUN)
    sys.stdout.write(f"{visible(resource(arguments.name))} rerun requested\n")
    return 0
