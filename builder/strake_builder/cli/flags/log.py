"""Flags of what a command that builds writes while it works."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from strake_builder.cli.flags.values.switches import add_switch
from strake_builder.progress.style import (
    LEVELS,
    LogStyle,
    can_draw,
    has_colours,
    is_watched,
    wants_no_colours,
)

_QUIET: Final = "error"


def add_log_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags that `read_log` reads."""
    group.add_argument(
        "--log-format",
        choices=("text", "json", "color"),
        metavar="text|json|color",
        help="(default: text, in colours on a terminal unless $NO_COLOR is set; color has them anywhere)",
    )
    group.add_argument(
        "--progress",
        type=_progress,
        choices=("auto", "tty", "plain", "quiet", "json"),
        metavar="auto|tty|plain|quiet|json",
        default="auto",
        help="the same in buildx's words: tty draws what happens at the moment, plain has no colours of its "
        "own, quiet shows errors alone (default: tty on a terminal, else plain)",
    )
    group.add_argument(
        "--verbosity",
        "-v",
        choices=LEVELS,
        metavar="LEVEL",
        help=f"the least that is shown: {', '.join(LEVELS)} (default: info)",
    )
    add_switch(group, "--log-timestamp", "begin each line with the time, in UTC")


def _progress(word: str) -> str:
    if word == "tty" and not can_draw(sys.stderr):
        raise argparse.ArgumentTypeError(
            "tty: standard error is no terminal whose cursor moves ($TERM); try plain"
        )
    return word


def read_log(arguments: argparse.Namespace) -> LogStyle:
    """Complete the format of the log, and return how text looks."""
    is_format_asked = arguments.log_format is not None
    if not is_format_asked:
        arguments.log_format = "json" if arguments.progress == "json" else "text"
        in_colours = arguments.progress in {"auto", "tty"} and has_colours(sys.stderr)
    else:
        in_colours = arguments.log_format == "color"
    if arguments.log_format == "color":
        arguments.log_format = "text"
    plain = wants_no_colours()
    # Who asks for another form of lines wants lines.
    suits = not (arguments.verbosity or arguments.log_timestamp or is_format_asked) and is_watched()
    live = arguments.progress == "tty" or (arguments.progress == "auto" and suits)
    return LogStyle(
        format=arguments.log_format,
        level=arguments.verbosity or (_QUIET if arguments.progress == "quiet" else "info"),
        times=arguments.log_timestamp,
        colours=in_colours and not plain,
        plain=plain,
        live=live and arguments.log_format == "text",
    )
