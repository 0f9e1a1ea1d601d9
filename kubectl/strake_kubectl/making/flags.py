"""Flags that say what an ImageBuild makes: those of `create`, and of `build` for a directory."""

from __future__ import annotations

import argparse


def add_spec_flags(parser: argparse.ArgumentParser, *, destination_needed: bool = True) -> None:
    """Add what becomes fields of the spec, whatever the source."""
    group = parser.add_argument_group("what is built")
    group.add_argument(
        "-d",
        "-t",
        "--destination",
        "--tag",
        dest="destinations",
        metavar="IMAGE",
        action="append",
        required=destination_needed,
        help="where the image goes; may be repeated",
    )
    group.add_argument(
        "-f", "--file", "--dockerfile", dest="dockerfile", metavar="PATH", help="in the source"
    )
    group.add_argument("--target", metavar="STAGE", help="the stage to build")
    group.add_argument(
        "--build-arg",
        dest="build_args",
        metavar="NAME=VALUE",
        type=pair,
        action="append",
        default=[],
        help="a value for an ARG; it shows in the image's history",
    )
    group.add_argument("--platform", metavar="OS/ARCH[,…]", help="several make an index")
    group.add_argument("--cache-repository", metavar="REPOSITORY", help="where results of steps are kept")
    group.add_argument("--timeout", metavar="DURATION", help="of the build, as 90s or 1h30m")
    rights = parser.add_argument_group("with which rights")
    rights.add_argument("--push-secret", metavar="NAME", help="a Secret of the namespace, for pushing")
    rights.add_argument("--pull-secret", metavar="NAME", help="a Secret of the namespace, for base images")
    rights.add_argument(
        "--service-account", metavar="NAME", help="a ServiceAccount with an identity in a cloud"
    )
    parser.add_argument(
        "--label",
        dest="labels",
        metavar="NAME=VALUE",
        type=pair,
        action="append",
        default=[],
        help="a label of the ImageBuild",
    )


def pair(text: str) -> tuple[str, str]:
    """Return name and value, for argparse."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} has no value: write NAME=VALUE")
    return name, value
