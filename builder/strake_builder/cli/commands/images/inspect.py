"""`strake inspect`: what an image is, without pulling its layers."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.image_locations import (
    ImageLocation,
    open_source,
    parse_location,
    parse_path,
    read_platform,
)
from strake_builder.cli.registries.command import run_command
from strake_builder.errors import BaseImageError, InvalidRequestError

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation

_EXAMPLES: Final = """\
IMAGE is in a registry, or
  ./PATH[:NAME], /PATH[:NAME]  a layout or an archive on this machine, as `strake push` takes it
  oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:IMAGE]

examples:
  strake inspect registry.example/app:1.2
  strake inspect --platform linux/arm64 --format json alpine:3.20
  strake inspect --raw ./out:1.2 | sha256sum

Layers are not read, but those of an archive as `docker save` wrote it before Docker 25, which has no digests.
Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument("image", metavar="IMAGE", help="the image")
    parser.add_argument("--platform", metavar="OS/ARCH", help="only the image for this platform")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--format", choices=("text", "json"), default="text", help="how it is shown")
    shown.add_argument(
        "--raw", action="store_true", help="print the manifest or index as it is, byte by byte"
    )
    parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to the image's registry")
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=inspect)


def inspect(arguments: argparse.Namespace) -> int:
    """Show the image; return the exit status."""
    return run_command(lambda cancellation: _inspect(arguments, cancellation))


def _inspect(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    from strake_builder.cli.commands.images.shown import as_text
    from strake_builder.cli.registries.user_client import user_client
    from strake_oci.description import describe
    from strake_oci.errors import OCIError
    from strake_oci.selection import find_manifest

    location = _location(arguments.image)
    platform = read_platform(arguments.platform) if arguments.platform is not None else None
    settings = read_registries(arguments, *[location.registry] if arguments.insecure else [])
    try:
        with user_client(settings, cancellation) as client:
            reader, name = open_source(location, client)
            found = find_manifest(reader, name, platform)
            if arguments.raw:
                sys.stdout.flush()
                sys.stdout.buffer.write(found.data)
                return
            described = describe(reader, found)
    except OCIError as error:
        raise BaseImageError(f"cannot inspect {location}: {error.message}", hint=error.hint) from error
    if arguments.format == "json":
        sys.stdout.write(json.dumps({"name": str(location), **described}, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in as_text(str(location), described)))


def _location(text: str) -> ImageLocation:
    if not text.startswith((".", "/")):
        return parse_location(text)
    found = parse_path(text)
    if found is None:
        raise InvalidRequestError(f"there is no file or directory {text}")
    return found
