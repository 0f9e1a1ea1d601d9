"""`strake completion`: a script for a shell, written from the parser itself."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from strake_builder.cli.registries.command import run_command
from strake_builder.errors import UnsupportedError

_SHELLS: Final = ("bash", "zsh", "fish")
_NOTES: Final = """\
examples:
  strake completion bash > ~/.local/share/bash-completion/completions/strake
  strake completion zsh > ~/.zfunc/_strake     (~/.zshrc: fpath+=~/.zfunc; autoload -Uz compinit; compinit)
  strake completion fish > ~/.config/fish/completions/strake.fish

For this session alone, in bash: source <(strake completion bash)
"""
_FILES: Final = frozenset({"FILE", "PATH", "SOCKET"})
_DIRECTORY: Final = "DIR"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _NOTES
    parser.add_argument("shell", choices=_SHELLS, help="the shell")
    parser.set_defaults(handler=complete)


def complete(arguments: argparse.Namespace) -> int:
    """Print the script; return the exit status."""
    return run_command(lambda _: _print(arguments.whole(), arguments.shell))


def _print(parser: argparse.ArgumentParser, shell: str) -> None:
    try:
        import shtab
    except ImportError as error:
        raise UnsupportedError(
            "shtab, which writes the script, is not installed", hint="pip install 'strake[completion]'"
        ) from error
    for action in _actions(parser):
        if action.choices is None and isinstance(action.metavar, str):
            if action.metavar == _DIRECTORY:
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined] # shtab reads it
            elif action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined] # likewise
    sys.stdout.write(str(shtab.complete(parser, shell=shell)).rstrip() + "\n")


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the flags and words of a parser and of all its commands."""
    found = list(parser._actions)  # noqa: SLF001 - argparse has no other way to its actions
    for action in tuple(found):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for command in dict.fromkeys(action.choices.values()):
                found += _actions(command)
    return found
