"""`strake copy`: an image as it is, from one store to another."""

from __future__ import annotations

import argparse
import gc
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.commands.images.transfer import ImageSource
from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.image_locations import (
    DOCKER,
    ImageLocation,
    check_destination,
    parse_location,
    read_platform,
)
from strake_builder.cli.registries.command import run_command
from strake_builder.output.targets import STANDARD_OUTPUT

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation
    from strake_oci.spec.platform import Platform

_EXAMPLES: Final = """\
SOURCE and DESTINATION are names of images in registries, or
  oci:DIR[:TAG]              an OCI image layout; images that are there stay
  oci-archive:FILE[:TAG]     an OCI image layout in a tar archive
  docker-archive:FILE:IMAGE  an archive for docker load

examples:
  strake copy registry.example/app:1.2 mirror.example/app:1.2
  strake copy registry.example/app@sha256:… registry.example/app:stable
  strake copy --platform linux/arm64 alpine:3.20 docker-archive:alpine.tar:alpine:3.20
  strake copy oci:out:1.2 registry.example/app:1.2

The digest stays the same and is printed. Of an image for several platforms all are copied; a docker-archive
has room for one, by default this machine's. What is at the destination is not sent again, what is in another
repository of the same registry is mounted, and the tag comes last.

Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument("source", metavar="SOURCE", help="the image to copy")
    parser.add_argument("destination", metavar="DESTINATION", help="where it goes")
    parser.add_argument("--platform", metavar="OS/ARCH", help="only the image for this platform")
    parser.add_argument(
        "--insecure", action="store_true", help="speak plain HTTP to the registries of both images"
    )
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=run_copy)


def run_copy(arguments: argparse.Namespace) -> int:
    """Copy; return the exit status."""
    return run_command(lambda cancellation: _copy(arguments, cancellation))


def _copy(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    """Copy, and print the digest."""
    from strake_builder.cli.registries.user_client import user_client

    gc.freeze()  # what was imported stays: looking for garbage passes over it
    gc.enable()
    source, destination = parse_location(arguments.source), parse_location(arguments.destination)
    check_destination(destination)
    platform = _platform(arguments.platform, destination)
    insecure = {source.registry, destination.registry} - {""} if arguments.insecure else set()
    settings = read_registries(arguments, *insecure)
    with user_client(settings, cancellation) as client:
        copied = ImageSource(source, client, cancellation).copy_to(destination, platform)
    stream = sys.stderr if destination.path == STANDARD_OUTPUT else sys.stdout
    stream.write(f"{copied.digest}\n")


def _platform(text: str | None, destination: ImageLocation) -> Platform | None:
    from strake_oci.spec.platform import host

    if text is not None:
        return read_platform(text)
    return host() if destination.kind == DOCKER else None
