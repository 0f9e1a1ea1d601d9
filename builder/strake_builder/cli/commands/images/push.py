"""`strake push`: an image in an archive or a layout, to registries."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.commands.images.transfer import ImageSource
from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.image_locations import (
    ImageLocation,
    check_destination,
    parse_location,
    parse_path,
    read_platform,
)
from strake_builder.cli.registries.command import run_command
from strake_builder.cli.result_files import add_result_flags, write_result_files
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation
    from strake_oci.spec.descriptor import Descriptor

_EXAMPLES: Final = """\
PATH is an OCI image layout, in a directory or in a tar archive, or an archive as `docker save`, `podman save`
and --tar-path write it. Where it holds several images, the name of one follows: PATH:TAG or PATH:IMAGE.

examples:
  strake push image.tar registry.example/app:1.2
  strake push out:1.2 registry.example/app:1.2 mirror.example/app:1.2
  strake push image.tar -d registry.example/app:1.2 --digest-file digest

The digest is printed. An image for several platforms is pushed whole; --platform takes one of them.
Credentials come from Docker's config file ($DOCKER_CONFIG, ~/.docker/config.json) or `strake login`.
"""
_NOTED: Final = ("--push-retry", "--image-download-retry", "--image-fs-extract-retry")
"""kaniko's; what may succeed later is tried again in any case."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's flags."""
    parser.epilog = _EXAMPLES
    parser.add_argument("path", metavar="PATH", help="the archive or layout")
    parser.add_argument(
        "destinations", metavar="IMAGE", nargs="*", help="where it goes; several may be given"
    )
    parser.add_argument(
        "--destination", "-d", metavar="IMAGE", action="append", default=[], help="the same as IMAGE"
    )
    parser.add_argument("--platform", metavar="OS/ARCH", help="only the image for this platform")
    add_result_flags(parser)
    parser.add_argument(
        "--insecure", action="store_true", help="plain HTTP for the registries where they have no TLS"
    )
    parser.add_argument(
        "--skip-tls-verify", action="store_true", help="accept any certificate of the registries"
    )
    parser.add_argument(
        "--push-ignore-immutable-tag-errors",
        action="store_true",
        help="a tag that its registry does not let move is no failure",
    )
    parser.add_argument("--skip-push-permission-check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--credential-helpers", action="append", help=argparse.SUPPRESS)
    parser.add_argument(*_NOTED, dest="retries", help=argparse.SUPPRESS)
    add_registry_flags(parser, words_follow=True)
    parser.set_defaults(handler=push)


def push(arguments: argparse.Namespace) -> int:
    """Push; return the exit status."""
    return run_command(lambda cancellation: _push(arguments, cancellation))


def _push(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    from strake_api.result import BuildSucceeded
    from strake_builder.cli.registries.user_client import user_client

    gc.freeze()  # what was imported stays: looking for garbage passes over it
    gc.enable()
    source, destinations = _source(arguments.path), _destinations(arguments)
    hosts = list(dict.fromkeys(destination.registry for destination in destinations))
    arguments.plain_fallback_registry = hosts if arguments.insecure else []
    if arguments.executor:
        arguments.plain_fallback_registry += arguments.insecure_registry
        arguments.insecure_registry = []
    if arguments.skip_tls_verify:
        arguments.skip_tls_verify_registry = [*arguments.skip_tls_verify_registry, *hosts]
    helpers = arguments.credential_helpers
    if arguments.executor and helpers is None:
        helpers = ["env", "google", "ecr", "acr", "gitlab"]
    with user_client(read_registries(arguments), cancellation, helpers) as client:
        image = ImageSource(
            source, client, cancellation, immutable_tags_stay=arguments.push_ignore_immutable_tag_errors
        )
        pushed = _to_all(arguments, image, destinations)
    mask = os.umask(0)
    os.umask(mask)
    names = tuple(str(destination) for destination in destinations)
    images = tuple(
        f"{destination.reference.repository}@{pushed.digest}"
        for destination in destinations
        if destination.reference
    )
    result = BuildSucceeded(digest=str(pushed.digest), references=names, images=images)
    write_result_files(arguments, names, result, mask)
    sys.stdout.write(f"{pushed.digest}\n")


def _to_all(
    arguments: argparse.Namespace, source: ImageSource, destinations: list[ImageLocation]
) -> Descriptor:
    """Push to one destination after the other; return what was pushed."""
    platform = read_platform(arguments.platform) if arguments.platform is not None else None
    firsts: dict[str, ImageLocation] = {}
    for destination in destinations:
        beside = firsts.setdefault(destination.registry, destination)
        pushed = source.copy_to(destination, platform, beside=beside if beside is not destination else None)
    return pushed


def _source(text: str) -> ImageLocation:
    """Return where the image is: a path, or a form of `strake copy`.

    Raises:
        InvalidRequestError: nothing is there.
    """
    found = parse_path(text)
    if found is not None:
        return found
    location = parse_location(text)
    if location.reference is not None:
        raise InvalidRequestError(
            f"there is no file or directory {text}",
            hint="name an archive or layout; `strake copy` takes images of registries",
        )
    return location


def _destinations(arguments: argparse.Namespace) -> list[ImageLocation]:
    texts = [*arguments.destinations, *arguments.destination]
    if not texts:
        raise InvalidRequestError("there is no destination", hint="name an image: strake push PATH IMAGE")
    found = [parse_location(text) for text in texts]
    for location, text in zip(found, texts, strict=True):
        if location.reference is None:
            raise InvalidRequestError(
                f"the destination {text} is in no registry", hint="`strake copy` writes files and directories"
            )
        check_destination(location)
    return found
