"""Flags that are on or off, as kaniko's are written: alone, or with `=true` or `=false`."""

from __future__ import annotations

import argparse
from typing import Final

_TRUE: Final = frozenset({"true", "1", "t"})
_FALSE: Final = frozenset({"false", "0", "f"})


def add_switch(group: argparse._ArgumentGroup, name: str, text: str) -> None:
    """Add a flag that is off unless it is given."""
    group.add_argument(
        name, nargs="?", const=True, default=False, type=boolean, metavar="true|false", help=text
    )


def boolean(text: str) -> bool:
    """Read `true` or `false`: a type for argparse."""
    if text.lower() not in _TRUE | _FALSE:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() in _TRUE
