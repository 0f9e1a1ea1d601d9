"""Flags of what may be built from: source policies in BuildKit's form, and locks."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Final

from strake_builder.cli.validation import read_bounded, validated

if TYPE_CHECKING:
    from strake_api.models.source_policy import SourcePolicy

_VARIABLE: Final = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"
_LIMIT: Final = 8 << 20


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_policies` reads."""
    group = parser.add_argument_group("what may be built from")
    group.add_argument(
        "--source-policy",
        metavar="FILE",
        action="append",
        default=[],
        help="rules in BuildKit's JSON that deny images, URLs and repositories, or have others stand for "
        f"them (default: ${_VARIABLE})",
    )
    group.add_argument(
        "--lock",
        metavar="FILE",
        help="build from what FILE pins images, URLs and repositories to, and add what it has not: commit "
        "the file to build the same again, remove it to have everything resolved anew",
    )


def read_policies(arguments: argparse.Namespace) -> tuple[SourcePolicy, ...]:
    """Return the policies that the flags name, the lock last.

    Raises:
        InvalidRequestError: a file cannot be read, or is none.
    """
    named = arguments.source_policy or list(filter(None, [os.environ.get(_VARIABLE)]))
    policies = [read_policy(path) for path in named]
    if arguments.lock is not None and os.path.lexists(arguments.lock):
        policies.append(read_policy(arguments.lock))
    return tuple(policies)


def read_policy(path: str) -> SourcePolicy:
    """Return the policy in a file.

    Raises:
        InvalidRequestError: it cannot be read, or is none.
    """
    from strake_api.models.source_policy import SourcePolicy

    what = f"the source policy {path}"
    content = read_bounded(what, path, _LIMIT)
    with validated(what):
        return SourcePolicy.model_validate_json(content)
