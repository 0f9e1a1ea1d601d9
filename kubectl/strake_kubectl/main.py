"""`kubectl strake`, and `strake ib`: picks the command, and turns errors into sentences.

kubectl runs a program `kubectl-strake` of the PATH for `kubectl strake`, with what follows as arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from strake_builder.errors import BuildError
from strake_builder.unforeseen import internal_error
from strake_kubectl.errors import CommandError

_COMMANDS: Final = {
    "get": ("get", "list ImageBuilds"),
    "describe": ("describe", "show a build on one screen: what, where, why, what next"),
    "logs": ("logs", "print the log of a run, also of one whose pod is gone"),
    "rerun": ("rerun", "run a build again as it is"),
    "cancel": ("cancel", "end the run that waits or goes on"),
    "build": ("build", "build a directory in the cluster, and follow it"),
    "create": ("create", "make an ImageBuild from flags"),
    "lint": ("lint", "check ImageBuilds in files, without a cluster"),
    "top": ("top", "list what runs and what waits, in the order of the queue"),
    "ui": ("ui", "show builds in a browser, or write one as a page"),
    "wait": ("wait", "wait until a build has ended"),
}
"""Name → module, summary."""
_INTERRUPTED: Final = 130
"""128 and the number of SIGINT, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments, "kubectl strake"))


def run(words: Sequence[str], program: str) -> int:
    """Run a command.

    Args:
        words: Of the command line, without the program.
        program: What help calls it.

    Returns:
        The exit status.
    """
    # pydantic otherwise reads the metadata of every package installed, and runs code that it finds so.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    parsed = _parser(program, words).parse_args(words)
    handler: Callable[[argparse.Namespace], int] = parsed.handler
    try:
        return handler(parsed)
    except (CommandError, BuildError) as error:
        sys.stderr.write(error.for_terminal() + "\n")
        return error.exit_status
    except BrokenPipeError:
        # `kubectl strake get | head` has read enough; at its end Python would try to write once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
        sys.stderr.write(internal_error(error).for_terminal() + "\n")
        return 1


def _parser(program: str, words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser, with the flags of the command that is named: each costs imports of its own."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="ImageBuilds of a cluster, with your kubeconfig's rights.",
        epilog=f"`{program} COMMAND --help` tells more.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in words:
            import_module(f"strake_kubectl.commands.{module}").configure(command)
    return parser
