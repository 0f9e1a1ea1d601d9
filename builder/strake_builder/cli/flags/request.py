"""Flags of the commands that a builder pod runs."""

from __future__ import annotations

import argparse


def add_request_flags(parser: argparse.ArgumentParser) -> None:
    """Add what names the request."""
    parser.add_argument(
        "--request",
        required=True,
        metavar="FILE",
        help="the request, as JSON",
    )
    parser.add_argument(
        "--request-digest",
        metavar="DIGEST",
        help="sha256:… of the request as it should be: another one is refused before it is read",
    )
