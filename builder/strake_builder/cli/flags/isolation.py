"""The flag that says how steps are isolated."""

from __future__ import annotations

import argparse
import os
from typing import Final

from strake_builder.isolation.ways import WAYS

_VARIABLE: Final = "STRAKE_ISOLATION"
_WANTED: Final = ("auto", *WAYS)


def add_isolation_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add `--isolation`."""
    parser.add_argument(
        "--isolation",
        type=_wanted,
        metavar="|".join(_WANTED),
        default=os.environ.get(_VARIABLE) or "auto",
        help="how RUN steps are kept apart from the machine. root: by namespaces, for which the builder "
        "needs SYS_ADMIN; nested: the same inside a user namespace of its own, which needs no capability; "
        "chroot: where namespaces are refused, at the container's own root. auto takes the first of these "
        f"that can be had, and tells why (default: ${_VARIABLE}, auto)",
    )


def _wanted(text: str) -> str:
    if text not in _WANTED:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(_WANTED)}")
    return text
