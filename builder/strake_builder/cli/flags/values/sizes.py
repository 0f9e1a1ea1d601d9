"""Sizes on the command line, and what a layer or an archive may take on disk."""

from __future__ import annotations

import argparse
import os
from typing import Final

from strake_api.values.size import parse_size
from strake_builder.errors import InvalidRequestError

MAX_UNPACKED_VARIABLE: Final = "STRAKE_MAX_UNPACKED_SIZE"
MAX_UNPACKED_DEFAULT: Final = "64GiB"
"""As `rootfs.allowance.MAX_UNPACKED`, which is not imported: the process that only waits needs no more."""


def read_size(text: str, name: str) -> int:
    """Return the bytes that a size means, such as 500MB or 20GiB.

    Args:
        text: the size.
        name: the flag or variable that it comes from.

    Raises:
        InvalidRequestError: it is no size.
    """
    try:
        return parse_size(text)
    except ValueError as error:
        raise InvalidRequestError(f"{name} {text!r} is no size", hint="such as 500MiB or 20GiB") from error


def add_max_unpacked_flag(parser: argparse._ActionsContainer) -> None:
    """Add the flag that bounds what a layer or an archive may take on disk."""
    parser.add_argument(
        "--max-unpacked-size",
        metavar="SIZE",
        help="what one layer, or one archive (the context, ADD), may take on disk when it is unpacked, each "
        "entry with 4 KiB besides its content "
        f"(default: ${MAX_UNPACKED_VARIABLE}, {MAX_UNPACKED_DEFAULT})",
    )


def read_max_unpacked(arguments: argparse.Namespace) -> int:
    """Return the bytes that `--max-unpacked-size`, or else its variable, allows.

    Raises:
        InvalidRequestError: it is no size, or none at all.
    """
    text, name = arguments.max_unpacked_size, "--max-unpacked-size"
    if text is None:
        text, name = os.environ.get(MAX_UNPACKED_VARIABLE) or MAX_UNPACKED_DEFAULT, MAX_UNPACKED_VARIABLE
    size = read_size(text, name)
    if not size:
        raise InvalidRequestError(f"{name} {text!r} leaves no room at all", hint="such as 500MiB or 20GiB")
    return size
