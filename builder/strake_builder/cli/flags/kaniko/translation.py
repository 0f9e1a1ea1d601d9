"""kaniko's flags and variables in Strake's words: of the table, what Strake has other words for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Final

from strake_builder.cli.flags.cache import LAYOUT_SCHEME, repository_beside
from strake_builder.cli.flags.kaniko.table import Does, Flag, Kind, flags, variables
from strake_builder.cli.flags.values.switches import add_switch, boolean
from strake_builder.errors import InvalidRequestError

_PREFIXES: Final = ("KANIKO_", "FF_KANIKO_")
_CREDENTIALS: Final = ("_USER", "_PASSWORD")
_CACHE_DIRECTORY: Final = "/cache"
VAR_RUN: Final = "/var/run"


def add_kaniko_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `translate` reads; those that are not needed come from the table."""
    group = parser.add_argument_group(
        "as kaniko's executor has them",
        "Others of its flags are accepted and named where they are not needed: docs/from-kaniko.md has all.",
    )
    group.add_argument("--context-sub-path", metavar="PATH", help="a directory in --context to build instead")
    group.add_argument(
        "--git",
        metavar="KEY=VALUE,…",
        action="append",
        default=[],
        help="of a --context in git: branch=NAME, depth=COMMITS, recurse-submodules=true|false, "
        "insecure-skip-tls=true",
    )
    group.add_argument("--bucket", "-b", help=argparse.SUPPRESS)
    pushed_to = "the registries of --destination and --cache-repo"
    add_switch(group, "--insecure", f"plain HTTP for {pushed_to} where they have no TLS")
    add_switch(group, "--insecure-pull", "plain HTTP for registries of base images where they have no TLS")
    add_switch(group, "--skip-tls-verify", f"accept any certificate of {pushed_to}")
    add_switch(group, "--skip-tls-verify-pull", "accept any certificate of registries of base images")
    group.add_argument(
        "--credential-helpers",
        metavar="NAME",
        action="append",
        help="what is asked for credentials after Docker's config, of env, google, ecr, acr, gitlab; "
        '"" is none (default: google, ecr, acr)',
    )
    group.add_argument(
        "--ignore-path",
        metavar="PATH",
        action="append",
        default=[],
        help="leave what steps write there out of layers; may be given more than once",
    )
    group.add_argument(
        "--ignore-var-run",
        "--whitelist-var-run",
        nargs="?",
        const=True,
        type=boolean,
        metavar="true|false",
        help=f"the same as --ignore-path={VAR_RUN}",
    )
    group.add_argument("--cache-run-layers", nargs="?", const=True, type=boolean, help=argparse.SUPPRESS)
    add_switch(group, "--single-snapshot", "one layer for the steps of each stage that is in the image")
    add_switch(group, "--dryrun", "print what would be built, and build nothing")
    add_switch(
        group, "--push-ignore-immutable-tag-errors", "a tag that its registry does not let move is no failure"
    )
    for flag in flags():
        if flag.does is Does.NOTED:
            _add_noted(group, flag)


def _add_noted(group: argparse._ArgumentGroup, flag: Flag) -> None:
    if flag.kind is Kind.SWITCH:
        group.add_argument(*flag.names, nargs="?", const=True, type=boolean, help=argparse.SUPPRESS)
    else:
        group.add_argument(*flag.names, help=argparse.SUPPRESS)


def translate(
    arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ, *, executor: bool = False
) -> list[str]:
    """Translate kaniko's flags and variables into Strake's flags; return what a person should know.

    Args:
        arguments: what was parsed; it is changed.
        environment: has the variables.
        executor: the command was called by kaniko's name: defaults are kaniko's.

    Raises:
        InvalidRequestError: a flag is malformed, fits nothing, or asks for what Strake does not do.
    """
    if arguments.bucket is not None:
        arguments.context = _object_of(arguments.bucket)
    _read_variables(arguments, environment)
    if arguments.ignore_var_run:
        arguments.ignore_path = [*arguments.ignore_path, VAR_RUN]
    if arguments.cache_run_layers is False:
        arguments.no_cache = True
    notes = [f"{flag.name} is not needed: {flag.here}" for flag in flags() if _is_noted(arguments, flag)]
    if executor:
        notes += _as_executor(arguments)
    _translate_registries(arguments, executor=executor)
    return notes + _noted_variables(environment)


def _is_noted(arguments: argparse.Namespace, flag: Flag) -> bool:
    """Say whether a flag that is not needed was given, and not as what is done in any case."""
    value = getattr(arguments, flag.key) if flag.does is Does.NOTED else None
    if value is None:
        return False
    return flag.kind is not Kind.SWITCH or value is not (flag.key == "cache_copy_layers")


def _read_variables(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    if text := environment.get("KANIKO_NO_PUSH"):
        try:
            arguments.no_push = boolean(text)
        except argparse.ArgumentTypeError as error:
            raise InvalidRequestError(f"$KANIKO_NO_PUSH: {error}") from error
    if mirror := environment.get("KANIKO_REGISTRY_MIRROR"):
        arguments.registry_mirror = [*arguments.registry_mirror, mirror]
    if maps := environment.get("KANIKO_REGISTRY_MAP"):
        arguments.registry_map = [*arguments.registry_map, maps]


def _noted_variables(environment: Mapping[str, str]) -> list[str]:
    """Name the variables of kaniko's that are set and do nothing, each with the reason."""
    known = {variable.name: variable for variable in variables()}
    notes = []
    for name in sorted(environment):
        if not name.startswith(_PREFIXES) or name.endswith(_CREDENTIALS) or not environment[name]:
            continue
        variable = known.get(name)
        if variable is None:
            notes.append(f"${name} has no meaning here")
        elif variable.does is Does.NOTED:
            notes.append(f"${name} is not needed: {variable.here}")
    return notes


def _as_executor(arguments: argparse.Namespace) -> list[str]:
    """Take kaniko's defaults for caches: nothing without --cache, and with it two places."""
    if not arguments.cache:
        given = [flag for flag in ("cache_repo", "cache_dir") if getattr(arguments, flag)]
        arguments.cache_repo = arguments.cache_dir = None
        arguments.cache = None
        return [f"--{flag.replace('_', '-')} is not used: there is no --cache=true" for flag in given]
    directory = arguments.cache_dir or _CACHE_DIRECTORY
    arguments.cache_dir = directory if arguments.cache_dir or os.path.isdir(directory) else None
    if not arguments.cache_repo and arguments.destination:
        arguments.cache_repo = repository_beside(arguments.destination[0])
    if arguments.cache_dir and os.path.isdir(directory) and not os.access(directory, os.W_OK):
        arguments.cache_dir = None
        return [f"--cache-dir is not used: {directory} cannot be written to"]
    return []


def _translate_registries(arguments: argparse.Namespace, *, executor: bool) -> None:
    fallback = list(arguments.insecure_registry) if executor else []
    if executor:
        arguments.insecure_registry = []
    if arguments.insecure:
        fallback += _pushed_to(arguments)
    arguments.plain_fallback_registry = fallback
    if arguments.skip_tls_verify:
        arguments.skip_tls_verify_registry = [*arguments.skip_tls_verify_registry, *_pushed_to(arguments)]
    if executor and arguments.credential_helpers is None:
        arguments.credential_helpers = ["env", "google", "ecr", "acr", "gitlab"]
    if executor and not (arguments.registry_map or arguments.registry_mirror):
        arguments.skip_default_registry_fallback = False  # kaniko ignores it then


def _pushed_to(arguments: argparse.Namespace) -> list[str]:
    from strake_oci.errors import OCIError
    from strake_oci.spec.reference import Reference

    cache = arguments.cache_repo or LAYOUT_SCHEME
    names = [*(arguments.destination or ()), *(() if cache.startswith(LAYOUT_SCHEME) else (cache,))]
    try:
        return list(dict.fromkeys(Reference.parse(name).repository.registry for name in names))
    except OCIError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error


def _object_of(bucket: str) -> str:
    """Return the context that `--bucket` means: Google's, and `context.tar.gz` where no object is named."""
    url = bucket if "://" in bucket else f"gs://{bucket}"
    host, _, name = url.partition("://")[2].partition("/")
    return url if name else f"{url.partition('://')[0]}://{host}/context.tar.gz"
