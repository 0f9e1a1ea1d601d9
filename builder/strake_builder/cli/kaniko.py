"""Called by the names of kaniko's programs: `executor` and `warmer`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    from strake_builder.cli.flags.kaniko.table import Flag

_CONTEXT: Final = "/workspace"
_DOCKER_CONFIG: Final = "/kaniko/.docker"
_CERTIFICATES: Final = "/kaniko/ssl/certs"
_SYSTEM: Final = "ca-certificates.crt"
_LIMIT: Final = 4 << 20
"""Bytes of a file with certificates."""
_HELP: Final = frozenset({"-h", "--help", "help"})
_OTHERS: Final = {"version": ["--version"], "--version": ["--version"]}
_SAME: Final = frozenset({"login", "completion"})
_SWITCHES: Final = frozenset(
    {
        "--insecure",
        "--skip-tls-verify",
        "--skip-default-registry-fallback",
        "--push-ignore-immutable-tag-errors",
        "--skip-push-permission-check",
    }
)
_WIDTH: Final = 34


def words(name: str, given: Sequence[str]) -> list[str]:
    """Return the words of `strake` for those of a program of kaniko's.

    Args:
        name: "executor" or "warmer".
        given: what follows it.

    Raises:
        SystemExit: they ask for help, which is printed.
    """
    first = given[0] if given else ""
    if name == "warmer":
        return ["warm", *given]
    if first in _HELP:
        sys.stdout.write("".join(_help()))
        raise SystemExit(0)
    if first in _OTHERS:
        return _OTHERS[first]
    if first in _SAME:
        return list(given)
    if first == "push":
        return ["push", *(word for given_word in given[1:] for word in _switch(given_word))]
    return ["build", f"--context={_CONTEXT}", *given]


def _switch(word: str) -> tuple[str, ...]:
    """Return a switch of `push` without its value, and not at all where it is off."""
    name, _, value = word.partition("=")
    if name not in _SWITCHES or not value:
        return (word,)
    return (name,) if value.lower() in {"true", "t", "1"} else ()


def enter() -> None:
    """Have the working directory of kaniko's image, where a pod names none."""
    if os.getcwd() == "/" and os.path.isdir(_CONTEXT):
        os.chdir(_CONTEXT)


def find_docker_config(environment: MutableMapping[str, str], directory: str = _DOCKER_CONFIG) -> None:
    """Have Docker's config where pods for kaniko mount it, or else where Docker itself has it.

    The image sets `$DOCKER_CONFIG` to kaniko's directory, which scripts write to. What a pod sets counts.

    Args:
        environment: this process's variables.
        directory: kaniko's. Its link is out of the way while a step runs, so what it leads to is named.
    """
    given = environment.get("DOCKER_CONFIG", "").rstrip("/")
    if given not in {"", directory}:
        return
    usual = os.path.join(environment.get("HOME") or "/root", ".docker/config.json")
    if os.path.isfile(f"{directory}/config.json") or (given and not os.path.isfile(usual)):
        environment["DOCKER_CONFIG"] = os.path.realpath(directory)
    else:
        environment.pop("DOCKER_CONFIG", None)


def trust_mounted(environment: MutableMapping[str, str], directory: str = _CERTIFICATES) -> None:
    """Trust the CAs in files that were put where kaniko's image has the system's.

    Args:
        environment: this process's variables.
        directory: where they are.

    Raises:
        InvalidRequestError: one cannot be read.
    """
    from strake_builder.cli.registries import ca_bundle
    from strake_builder.errors import InvalidRequestError

    texts = []
    try:
        for path in sorted(Path(directory).iterdir()) if os.path.isdir(directory) else ():
            if path.is_file() and not (path.name == _SYSTEM and path.is_symlink()):
                with path.open("rb") as file:
                    texts.append(file.read(_LIMIT).decode(errors="replace"))
        if texts:
            ca_bundle.install("\n".join(texts), environment)
    except OSError as error:
        raise InvalidRequestError(f"cannot read the certificates in {directory}: {error}") from error


def _help() -> Iterator[str]:
    from strake_builder.cli.flags.kaniko.table import flags

    yield "usage: executor --destination IMAGE [--context DIR] [FLAG…]\n\n"
    yield "kaniko's flags as Strake carries them out. `strake build --help` has Strake's own.\n"
    section = ""
    for flag in flags():
        if flag.section != section:
            section = flag.section
            yield f"\n{section}:\n"
        yield from _lines(flag)


def _lines(flag: Flag) -> Iterator[str]:
    from strake_builder.cli.flags.kaniko.table import Does

    default = f" (default: {flag.default})" if flag.default else ""
    names = ", ".join(reversed(flag.names))
    yield f"  {names:<{_WIDTH}} {flag.meaning}{default}\n"
    if flag.here != "the same":
        prefix = "not needed: " if flag.does is Does.NOTED else ""
        yield f"  {'':<{_WIDTH}}   {prefix}{flag.here}\n"
