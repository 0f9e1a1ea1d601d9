"""Flags that several commands share."""

from __future__ import annotations

import argparse
import os
import stat
from pathlib import Path
from typing import Final

from strake_builder.cli.flags.cache import add_cache_flags
from strake_builder.cli.flags.isolation import add_isolation_flag
from strake_builder.cli.flags.log import add_log_flags
from strake_builder.cli.flags.registry import add_registry_flags
from strake_builder.cli.flags.signing import add_signing_flags
from strake_builder.cli.flags.values.sizes import add_max_unpacked_flag
from strake_builder.errors import InvalidRequestError

_WORK_VARIABLE: Final = "STRAKE_WORK_DIR"
_DEFAULT_WORK: Final = "/var/tmp/strake-{uid}"  # noqa: S108 - refused where somebody else made it first


def add_building_flags(parser: argparse.ArgumentParser) -> None:
    """Add what every command that builds understands."""
    group = parser.add_argument_group("where and how")
    group.add_argument(
        "--work-dir",
        metavar="DIR",
        default=os.environ.get(_WORK_VARIABLE) or _DEFAULT_WORK.format(uid=os.geteuid()),
        help="where the build is made, on ext4, xfs, btrfs or tmpfs, and no other user can write "
        f"(default: ${_WORK_VARIABLE}, {_DEFAULT_WORK.format(uid='UID')})",
    )
    add_log_flags(group)
    group.add_argument(
        "--jobs",
        metavar="N",
        type=_positive,
        default=max(4, os.cpu_count() or 4),
        help="stages that execute a step at the same time (default: one a processor, at least 4)",
    )
    group.add_argument(
        "--runtime", metavar="PROGRAM", default="crun", help="OCI runtime for RUN (default: crun)"
    )
    group.add_argument(
        "--rootfs",
        choices=("auto", "overlay", "scan"),
        default="auto",
        help="how a step's changes are found: overlay mounts layers and costs what the step changes; scan "
        "mounts nothing, copies the base image and looks at every file (default: auto, which is overlay "
        "where the kernel allows it)",
    )
    add_isolation_flag(group)
    add_max_unpacked_flag(group)
    add_registry_flags(parser)
    add_signing_flags(parser)
    add_cache_flags(parser)
    secrets = parser.add_argument_group("secrets")
    secrets.add_argument(
        "--secret",
        metavar="id=ID[,src=FILE|,env=NAME]",
        action="append",
        default=[],
        help="a secret for RUN --mount=type=secret, or for ADD: HTTP_AUTH_TOKEN_HOST, GIT_AUTH_TOKEN.HOST; "
        "never stored (default: the variable ID, else the file)",
    )
    secrets.add_argument(
        "--ssh",
        metavar="ID[=SOCKET|KEY]",
        action="append",
        default=[],
        help="an SSH agent for RUN --mount=type=ssh, or files of private keys, separated by commas, which "
        "get an agent of the build's (default socket: $SSH_AUTH_SOCK)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above zero")
    return int(text)


def read_secrets(texts: list[str]) -> dict[str, bytes]:
    """Return the secrets that `--secret` names, by id.

    Raises:
        InvalidRequestError: a flag is malformed, or its file or variable is not there.
    """
    secrets = {}
    for text in texts:
        fields = dict(part.partition("=")[::2] for part in text.split(","))
        name = fields.get("id", "")
        source, variable = fields.get("src") or fields.get("source"), fields.get("env")
        unknown = fields.keys() - {"id", "src", "source", "env", "type"}
        if fields.get("type") == "env" or (not source and name in os.environ):
            variable = variable or source or name
        if not name or unknown:
            raise InvalidRequestError(
                f"--secret {text!r} is not understood", hint="write id=ID,src=FILE or id=ID,env=NAME"
            )
        try:
            if variable:
                secrets[name] = os.environb[os.fsencode(variable)]
            else:
                secrets[name] = Path(source or name).read_bytes()
        except KeyError:
            raise InvalidRequestError(f"--secret {name}: the variable {variable} is not set") from None
        except OSError as error:
            raise InvalidRequestError(
                f"--secret {name}: cannot read {source or name}: {error.strerror}"
            ) from error
    return secrets


def read_ssh(texts: list[str]) -> tuple[dict[str, str], dict[str, tuple[bytes, ...]]]:
    """Return the agent sockets, and the private keys, that `--ssh` names, by id.

    Raises:
        InvalidRequestError: no socket is named and none is in the environment, or a key cannot be read.
    """
    sockets, keys = {}, {}
    for text in texts:
        name, _, given = text.partition("=")
        named = given or os.environ.get("SSH_AUTH_SOCK", "")
        if not named:
            raise InvalidRequestError(
                f"--ssh {name}: no agent runs here", hint="start ssh-agent, or write ID=SOCKET or ID=KEY"
            )
        paths = [named] if os.path.exists(named) else named.split(",")
        try:
            if len(paths) == 1 and not stat.S_ISREG(os.stat(named).st_mode):
                sockets[name] = os.path.realpath(named)
            else:
                keys[name] = tuple(Path(path).read_bytes() for path in paths)
        except OSError as error:
            raise InvalidRequestError(
                f"--ssh {name}: cannot read {error.filename}: {error.strerror}"
            ) from error
    return sockets, keys
