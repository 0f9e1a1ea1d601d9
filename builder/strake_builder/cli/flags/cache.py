"""Flags about caches, by kaniko's and Docker's names where they have one."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.values.sizes import read_size
from strake_builder.cli.flags.values.switches import add_switch, boolean
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_api.requests.build import Cache

_DEFAULT_TTL: Final = "336h"
_DEFAULT_SIZE: Final = "20GiB"
_DEFAULT_MOUNT_SIZE: Final = "2GiB"
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
LAYOUT_SCHEME: Final = "oci:"
"""Before the directory of an image layout that is a cache repository, as kaniko has it."""
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")


def add_cache_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is kept from build to build, and where."""
    group = parser.add_argument_group(
        "caches", "Without --cache-dir, --cache-repo and --cache-from every build starts anew."
    )
    group.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="keep unpacked layers, results of steps and cache mounts in this directory",
    )
    group.add_argument(
        "--cache-max-size",
        metavar="SIZE",
        default=_DEFAULT_SIZE,
        help="what --cache-dir may hold, cache mounts not counted; what was not used for longest is removed "
        f"(default: {_DEFAULT_SIZE})",
    )
    group.add_argument(
        "--cache-repo",
        metavar="REPOSITORY|oci:DIR",
        help="keep results of steps in this repository, or in an OCI image layout in a directory (with "
        "--cache=true alone: DESTINATION/cache)",
    )
    group.add_argument(
        "--cache-ttl",
        metavar="DURATION",
        help=f"results in the repository older than this are not used, such as 14d (default: {_DEFAULT_TTL})",
    )
    add_switch(
        group,
        "--no-cache-mounts",
        "do not restore the content of RUN --mount=type=cache from --cache-repo, nor keep it there",
    )
    group.add_argument(
        "--cache-mounts-max-size",
        metavar="SIZE",
        help="what the files of one such mount may take to be kept in --cache-repo "
        f"(default: {_DEFAULT_MOUNT_SIZE})",
    )
    add_switch(group, "--no-push-cache", "use --cache-repo, but put nothing into it")
    group.add_argument(
        "--cache-from",
        metavar="IMAGE",
        action="append",
        default=[],
        help="use the layers of an image that was built with --cache-inline; may be given more than once",
    )
    add_switch(
        group, "--cache-inline", "note in the image which steps its layers are, for a later --cache-from"
    )
    add_switch(group, "--no-cache", "run every step anew; the results are kept")
    group.add_argument(
        "--no-cache-filter",
        metavar="STAGE[,STAGE…]",
        action="append",
        default=[],
        help="run the steps of these stages anew",
    )
    _add_kaniko_flags(group)


def _add_kaniko_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--cache",
        metavar="true|false",
        nargs="?",
        const=True,
        type=boolean,
        help="whether results of steps are kept and used at all (default: where a flag says where)",
    )


def read_cache(arguments: argparse.Namespace, destinations: tuple[str, ...], base: Cache) -> Cache:
    """Return what the flags say about caches.

    Args:
        arguments: the flags.
        destinations: where the image goes.
        base: what holds where no flag says anything.

    Raises:
        InvalidRequestError: a flag is malformed, or two contradict each other.
    """
    layout = cache_layout(arguments)
    beside = _beside_destination(arguments, destinations, base)
    given = {
        "repository": None if layout else arguments.cache_repo or beside,
        "ttl_seconds": _seconds(arguments.cache_ttl) if arguments.cache_ttl is not None else None,
        "mount_limit": _mount_limit(arguments.cache_mounts_max_size),
        "images": tuple(arguments.cache_from),
        "inline": arguments.cache_inline,
        "fresh_stages": tuple(name for text in arguments.no_cache_filter for name in text.split(",") if name),
    }
    switched_off = {
        "enabled": arguments.cache is False,
        "reads": arguments.no_cache,
        "writes": arguments.no_push_cache,
        "mounts": arguments.no_cache_mounts,
    }
    elsewhere = layout or given["repository"] or given["images"] or given["inline"]
    if arguments.cache is False and elsewhere:
        raise InvalidRequestError("--cache=false contradicts --cache-repo, --cache-from and --cache-inline")
    changes: dict[str, object] = {field: value for field, value in given.items() if value}
    if layout:
        changes["repository"] = None  # a layout is in place of what a manifest names
    changes.update((field, False) for field, off in switched_off.items() if off)
    if arguments.cache or arguments.cache_dir or elsewhere:
        changes["enabled"] = arguments.cache is not False  # the manifest may say otherwise
    return base.model_copy(update=changes)


def _beside_destination(
    arguments: argparse.Namespace, destinations: tuple[str, ...], base: Cache
) -> str | None:
    """Return where kaniko's `--cache=true` alone keeps results, None where something else says where."""
    flags = arguments.cache_repo, arguments.cache_dir, arguments.cache_from, arguments.cache_inline
    if not arguments.cache or base.repository or any(flags):
        return None
    if not destinations:
        raise InvalidRequestError(
            "--cache=true has nowhere to keep results", hint="give --cache-repo or --cache-dir"
        )
    return repository_beside(destinations[0])


def cache_layout(arguments: argparse.Namespace) -> str | None:
    """Return the directory of the OCI image layout that `--cache-repo` names, None where it names none.

    Raises:
        InvalidRequestError: it can be no cache.
    """
    scheme, colon, path = (arguments.cache_repo or "").partition(":")
    if f"{scheme}{colon}" != LAYOUT_SCHEME:
        return None
    from strake_builder.cache.layout import unusable

    if not path or re.match("//[^/]", path):
        raise InvalidRequestError(
            f"--cache-repo {arguments.cache_repo!r} names no directory",
            hint="oci:DIR is an OCI image layout; a registry's repository has no scheme",
        )
    directory = os.path.abspath(re.sub("^/+", "/", path))
    if problem := unusable(directory):
        raise InvalidRequestError(
            f"--cache-repo cannot be oci:{directory}: {problem}",
            hint="name a directory that is new, empty or an OCI image layout",
        )
    return directory


def read_cache_limit(arguments: argparse.Namespace) -> int:
    """Return the bytes that `--cache-max-size` allows.

    Raises:
        InvalidRequestError: it is no size.
    """
    return read_size(arguments.cache_max_size, "--cache-max-size")


def _mount_limit(text: str | None) -> int | None:
    if text is None:
        return None
    size = read_size(text, "--cache-mounts-max-size")
    if not size:
        raise InvalidRequestError(
            f"--cache-mounts-max-size {text!r} leaves no room", hint="--no-cache-mounts keeps none"
        )
    return size


def _seconds(text: str) -> int:
    total = 0
    if _DURATION.fullmatch(text):
        found = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
        total = int(sum(float(number) * _UNITS[unit] for number, unit in found))
    if not total:
        raise InvalidRequestError(f"--cache-ttl {text!r} is no duration", hint="such as 6h, 90m or 14d")
    return total


def repository_beside(destination: str) -> str:
    """Return the repository that keeps results of steps where no flag names one, as kaniko has it."""
    head, slash, last = destination.rpartition("/")
    return f"{head}{slash}{last.partition('@')[0].partition(':')[0]}/cache"
