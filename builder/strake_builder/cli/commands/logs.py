"""`strake logs`: the log of a run that a registry keeps."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.registries.command import read_reference, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_oci.cancellation import Cancellation

_NOTES: Final = """\
The reference is in status.history[].log of an ImageBuild, where the platform keeps logs. What a terminal
would obey is shown as text.

examples:
  strake logs registry.example/logs/team@sha256:…
  strake logs $(kubectl get ib app -o jsonpath='{.status.history[0].log}')

Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("reference", metavar="REFERENCE", help="a log in a registry, by digest or tag")
    parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to the log's registry")
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=logs)


def logs(arguments: argparse.Namespace) -> int:
    """Print a log; return the exit status."""
    return run_command(lambda cancellation: _print(arguments, cancellation))


def _print(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    try:
        for text in _text(arguments, cancellation):
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        return  # `strake logs … | head` has read enough


def _text(arguments: argparse.Namespace, cancellation: Cancellation) -> Iterator[str]:
    from strake_builder.cli.registries.kept_logs import kept_log
    from strake_builder.cli.registries.registry_credentials import user_credentials

    reference = read_reference(arguments.reference)
    settings = read_registries(arguments, *[reference.repository.registry] if arguments.insecure else [])
    yield from kept_log(arguments.reference, settings, user_credentials(), cancellation)
