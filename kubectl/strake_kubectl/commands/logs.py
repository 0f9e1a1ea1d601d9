"""`kubectl strake logs`: of a run that goes on, and of one whose pod is gone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_kubectl.errors import CommandError
from strake_kubectl.flags import add_cluster_flags, add_name, cluster_of
from strake_kubectl.following import follow, print_log

_NOTES = """\
Where the platform keeps logs, that of a run whose pod is gone is read from its registry, with the
credentials in Docker's config file. What a terminal would obey is shown as text.

examples:
  kubectl strake logs -f api
  kubectl strake logs api --run 3
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    add_name(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="until the run has ended")
    parser.add_argument("--run", metavar="N", type=int, help="the number of a run; the last one by default")
    add_cluster_flags(parser)
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=logs)


def logs(arguments: argparse.Namespace) -> int:
    """Print a log; return the exit status."""
    cluster = cluster_of(arguments)
    if arguments.follow and arguments.run is not None:
        raise CommandError("-f follows the last run: drop --run", exit_status=2)
    build = cluster.get(arguments.name)
    if arguments.follow and not build.is_finished:
        follow(cluster, arguments.name, write)
    else:
        run = build.run if arguments.run is None else arguments.run
        print_log(cluster, build, run, partial(kept_lines, arguments), write)
    return 0


def write(text: str) -> None:
    """Write to standard output at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def kept_lines(arguments: argparse.Namespace, reference: str, *, raw: bool = False) -> Iterator[str]:
    """Yield the log that a registry keeps, reached as the flags say.

    Args:
        arguments: The flags.
        reference: Of the log.
        raw: Leave in it what a terminal would obey.

    Raises:
        CommandError: It cannot be read.
    """
    from strake_builder.cli.registries.kept_logs import kept_log
    from strake_builder.cli.registries.registry_credentials import user_credentials
    from strake_builder.errors import BuildError
    from strake_oci.cancellation import Cancellation

    try:
        yield from kept_log(
            reference, read_registries(arguments), user_credentials(), Cancellation(), raw=raw
        )
    except BuildError as error:
        raise CommandError(error.message, hint=error.hint or f"strake logs {reference} --help") from error
