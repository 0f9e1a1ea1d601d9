"""`kubectl strake wait`: until what was asked for last has ended."""

from __future__ import annotations

import argparse
import sys

from strake_api.text import visible
from strake_api.values.duration import parse_duration
from strake_kubectl.ending import exit_status
from strake_kubectl.errors import CommandError
from strake_kubectl.flags import add_cluster_flags, add_name, cluster_of
from strake_kubectl.following import await_end
from strake_kubectl.view.documents import resource

_NOTES = """\
The exit status is that of `strake build` for the same failure (7 where a RUN command failed), 0 where
there is an image, and 1 where the time passed.

examples:
  kubectl strake wait api
  kubectl strake rerun api && kubectl strake wait api --timeout 30m
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    add_name(parser)
    parser.add_argument(
        "--timeout", metavar="DURATION", type=duration, help="as 90s or 30m; without an end by default"
    )
    add_cluster_flags(parser)
    parser.set_defaults(handler=wait)


def duration(text: str) -> int:
    """Return a duration in seconds, for argparse."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def wait(arguments: argparse.Namespace) -> int:
    """Wait, then say how it ended; return the exit status."""
    build = await_end(cluster_of(arguments), arguments.name, arguments.timeout)
    if build is None:
        raise CommandError(
            f"{arguments.name} did not end in time", hint=f"kubectl strake describe {arguments.name}"
        )
    shown = build.status.image if build.has_succeeded else build.message
    sys.stdout.write(visible(f"{resource(build.name)} {build.reason}: {shown}") + "\n")
    return exit_status(build)
