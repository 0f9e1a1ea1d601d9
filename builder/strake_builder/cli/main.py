"""`strake`: picks the command, and imports nothing that the command does not need."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from importlib import import_module
from typing import Final, NoReturn

_COMMANDS: Final = {
    "build": ("build", "build an image from a directory and push it"),
    "run": ("run", "build what an ImageBuild manifest says, without a cluster"),
    "execute": ("execute", "carry out a request; what runs in a builder pod"),
    "fetch": ("fetch", "fetch the source of a builder pod, apart from its steps"),
    "gateway": ("gateway", "keep a builder pod's credentials, and speak to registries for it"),
    "copy": ("images.copy", "copy an image as it is: between registries, layouts and archives"),
    "push": ("images.push", "push an archive or layout to registries"),
    "index": ("images.index", "make one name of images for several platforms"),
    "inspect": ("images.inspect", "show what an image is: platforms, configuration, layers"),
    "warm": ("warm", "put base images into a cache directory"),
    "verify": ("verify", "check that an image has a signature that a key made"),
    "rebuild": ("images.rebuild", "build an image again from its provenance, and compare"),
    "sbom": ("images.sbom", "print what is in an image, as a scanner finds it"),
    "attestations": ("attestations", "list and print what is attested of an image"),
    "logs": ("logs", "print the log of a run that a registry keeps"),
    "lint": ("lint", "check a Dockerfile without building it"),
    "login": ("login", "keep credentials for a registry"),
    "logout": ("login", "forget credentials for a registry"),
    "completion": ("completion", "print what completes commands and flags in bash, zsh or fish"),
}

_ABOVE: Final = {
    "ib": ("strake_kubectl.main", "ImageBuilds of a cluster: what `kubectl strake` does"),
}
"""Commands of the package above this one, which has parsers of its own."""
_KANIKO: Final = frozenset({"executor", "warmer"})
"""What kaniko's images call their programs: links to this one, by whose name it is called."""
_EXECUTOR: Final = "/kaniko/executor"
"""Where kaniko's image has it, and the builder's."""
_OWN_FLAGS: Final = frozenset({"-h", "--help", "--version"})

EPILOG: Final = """\
exit status:
    0  the image is at every destination
    1  an error in Strake itself
    2  wrong flags, or a manifest that contradicts itself
    3  the Dockerfile is refused
    4  the context cannot be fetched
    5  a base image cannot be pulled
    6  an instruction failed       7  a RUN command failed
    8  the push failed             9  the push was refused for its credentials
   10  the timeout passed         11  the disk is full
   12  out of memory              13  this machine lacks what the build needs
   14  the image cannot be signed; to verify, it has no signature of the key
   15  what was rebuilt is another image
  143  stopped by a signal

`strake COMMAND --help` tells more. Flags without a command are those of `build`.
"""


class _Version(argparse.Action):
    """Reads the version only when it is asked for: the package's metadata costs 30 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"strake {version('strake')}\n")
        parser.exit()


class _Help(argparse.RawDescriptionHelpFormatter):
    """Begins with the shortest form that is of use: what a command needs, and that it has flags."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """Add a line in which flags that nobody must give are one word."""
        if prefix == "":  # of a command's name, which argparse takes from here
            super().add_usage(usage, actions, groups, prefix)
            return
        flags = argparse.Action([], "flags", nargs="?", metavar="FLAG…")
        needed = [each for each in actions if each.required or not each.option_strings]
        super().add_usage(usage, [flags, *needed], (), prefix)


class _Parser(argparse.ArgumentParser):
    """Says where a command's flags are explained, in place of naming all of them."""

    def error(self, message: str) -> NoReturn:
        """End with what is wrong."""
        self.exit(2, f"{self.prog}: error: {message}\n  try: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its status."""
    # What importing allocates stays, and is looked through for garbage again and again: 80 of 400 ms.
    gc.disable()
    # pydantic otherwise reads the metadata of every package installed, and runs code that it finds so.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))
    finally:
        gc.freeze()  # or the end of the process looks through it all once more


def _run(words: list[str]) -> int:
    """Parse the command line, run the command, and return its status."""
    name = os.path.basename(sys.argv[0])
    flags_alone = bool(words) and words[0].startswith("-") and words[0] not in _OWN_FLAGS
    is_image = os.path.lexists(_EXECUTOR)
    if flags_alone and name not in _KANIKO and is_image:
        # Skaffold and Tekton's tasks name no command: the entry point is meant.
        name = os.path.basename(_EXECUTOR)
    if is_image or name in _KANIKO:
        from strake_builder.cli import kaniko

        kaniko.find_docker_config(os.environ)
    if name in _KANIKO:
        words = kaniko.words(name, words)
        kaniko.enter()
    elif flags_alone:
        words = ["build", *words]  # as kaniko's executor, which has no commands, is called
    if words[:1] and words[0] in _ABOVE:
        above: int = import_module(_ABOVE[words[0]][0]).run(words[1:], f"strake {words[0]}")
        return above
    chosen = next((word for word in words if not word.startswith("-")), "")
    parser = _parser([chosen])
    parsed, unknown = parser.parse_known_args(words)
    if unknown:
        parser.prog = f"{parser.prog} {parsed.command}"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    parsed.executor = name in _KANIKO
    parsed.whole = lambda: _parser(_COMMANDS)
    status: int = parsed.handler(parsed)
    return status


def _parser(chosen: Collection[str]) -> argparse.ArgumentParser:
    """Return the parser, with the flags of some commands: each costs the imports of its own."""
    parser = _Parser(
        prog="strake",
        description="Builds container images, without a Docker daemon.",
        epilog=EPILOG,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command_name, (module, summary) in _COMMANDS.items():
        command = commands.add_parser(
            command_name,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            formatter_class=_Help,
            allow_abbrev=False,  # kaniko's --insecure would be taken for --insecure-registry
        )
        if command_name in chosen:
            import_module(f"strake_builder.cli.commands.{module}").configure(command)
    for command_name, (_, summary) in _ABOVE.items():
        commands.add_parser(command_name, help=summary)
    return parser
