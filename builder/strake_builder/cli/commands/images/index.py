"""`strake index create`: one name for images that were built for several platforms, wherever that was."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from typing import TYPE_CHECKING, Final

from strake_builder.cli.commands.images.transfer import ProgressWriter, explained
from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.cli.image_locations import (
    DOCKER,
    ImageLocation,
    check_destination,
    open_destination,
    open_source,
    parse_location,
)
from strake_builder.cli.registries.command import run_command
from strake_builder.cli.result_files import add_result_flags, write_result_files
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from strake_oci.cancellation import Cancellation
    from strake_oci.images import ImageReader, ImageWriter
    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.digest import Digest
    from strake_oci.spec.manifest import Index
    from strake_oci.transfers.joining import NamedEntries

_EXAMPLES: Final = """\
DESTINATION and IMAGE are names of images in registries, or
  oci:DIR[:TAG]              an OCI image layout; images that are there stay
  oci-archive:FILE[:TAG]     an OCI image layout in a tar archive
and IMAGE also docker-archive:FILE:IMAGE.

examples:
  strake index create registry.example/app:1.2 registry.example/app:1.2-amd64 registry.example/app:1.2-arm64
  strake index create registry.example/app:1.2 registry.example/app@sha256:… oci:out-arm64
  strake index create --dry-run registry.example/app:1.2 app:1.2 app:1.2-riscv64

Each image must be for another platform. Of one that is an index already, all images are taken, with their
attestations. What is in another repository is copied; the tag comes last, and the digest is printed.
What refers to an image (signatures, attestations that are referrers) stays where it is.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's commands, and their flags."""
    words = parser.add_subparsers(dest="index_command", metavar="COMMAND", required=True)
    create = words.add_parser(
        "create",
        help="push an index of images",
        description="Pushes an index of images, each for another platform.",
        epilog=_EXAMPLES,
        formatter_class=parser.formatter_class,
        allow_abbrev=False,
    )
    create.add_argument("destination", metavar="DESTINATION", help="the name that the index gets")
    create.add_argument("images", metavar="IMAGE", nargs="+", help="an image, or an index of images")
    create.add_argument(
        "--annotation", metavar="NAME=VALUE", action="append", default=[], help="an annotation of the index"
    )
    create.add_argument("--dry-run", action="store_true", help="print the index, and push nothing")
    add_result_flags(create)
    create.add_argument("--insecure", action="store_true", help="speak plain HTTP to the registries")
    add_registry_flags(create, words_follow=True)
    create.set_defaults(handler=run_create)


def run_create(arguments: argparse.Namespace) -> int:
    """Create an index; return the exit status."""
    return run_command(lambda cancellation: _create(arguments, cancellation))


def _create(arguments: argparse.Namespace, cancellation: Cancellation) -> None:
    from strake_builder.cli.registries.user_client import user_client

    gc.freeze()  # what was imported stays: looking for garbage passes over it
    gc.enable()
    destination = _destination(arguments.destination)
    sources = [parse_location(text) for text in arguments.images]
    annotations = dict(map(_annotation, arguments.annotation))
    insecure = {each.registry for each in (destination, *sources)} - {""} if arguments.insecure else set()
    with user_client(read_registries(arguments, *insecure), cancellation) as client:
        images = [_Image(source, destination, client) for source in sources]
        index = _join(images, destination, annotations)
        if arguments.dry_run:
            sys.stdout.write(f"{index.serialize().decode()}\n")
            return
        digest = _push(images, index, destination, client, cancellation)
    _write_result(arguments, destination, digest)
    sys.stdout.write(f"{digest}\n")


class _Image:
    """An image, or an index of images, that was found."""

    def __init__(self, location: ImageLocation, destination: ImageLocation, client: RegistryClient) -> None:
        from strake_oci.selection import find_manifest
        from strake_oci.transfers.joining import entries_of

        self.location = location
        with explained(location, destination):
            self.reader, name = open_source(location, client)
            self.found = find_manifest(self.reader, name)
            self.entries: NamedEntries = entries_of(self.reader, str(location), self.found)

    reader: ImageReader

    def copy_to(
        self, writer: ImageWriter, destination: ImageLocation, client: RegistryClient, stop: Cancellation
    ) -> None:
        """Bring it there by digest: a tag that moved meanwhile names another image."""
        from strake_oci.transfers.copying import copy_image

        with explained(self.location, destination):
            for entry in self.entries.entries:
                copy_image(
                    self.reader,
                    str(entry.digest),
                    writer,
                    on_bytes=lambda _: stop.check(),
                    on_failure=client.stop,
                )


def _join(images: Sequence[_Image], destination: ImageLocation, annotations: dict[str, str]) -> Index:
    from strake_oci.errors import InvalidDocumentError
    from strake_oci.transfers.joining import join_images

    try:
        return join_images([each.entries for each in images], annotations)
    except InvalidDocumentError as error:
        raise InvalidRequestError(f"cannot make {destination}: {error.message}", hint=error.hint) from error


def _push(
    images: Sequence[_Image],
    index: Index,
    destination: ImageLocation,
    client: RegistryClient,
    cancellation: Cancellation,
) -> Digest:
    """Copy what is not there, then push the index; a file appears when all is in it."""
    from strake_oci.registry.images import RegistryImages

    first = images[0].location
    with open_destination(destination, client, first) as (writer, tag), explained(first, destination):
        for each in images:
            there: ImageWriter = writer
            if destination.reference is not None:
                beside = each.location.reference.repository if each.location.reference else None
                there = RegistryImages(client, destination.reference.repository, beside)
            told = ProgressWriter(there, str(destination))
            each.copy_to(told, destination, client, cancellation)
        told = ProgressWriter(writer, str(destination))
        return told.push_manifest(index.serialize(), index.media_type, tag).digest


def _write_result(arguments: argparse.Namespace, destination: ImageLocation, digest: Digest) -> None:
    from strake_api.result import BuildSucceeded

    mask = os.umask(0)
    os.umask(mask)
    reference = destination.reference
    names = (str(reference),) if reference else ()
    images = (f"{reference.repository}@{digest}",) if reference else ()
    result = BuildSucceeded(digest=str(digest), references=names, images=images)
    write_result_files(arguments, names, result, mask)


def _destination(text: str) -> ImageLocation:
    found = parse_location(text)
    check_destination(found)
    if found.kind == DOCKER:
        raise InvalidRequestError(
            f"{text}: an archive for docker load has one image", hint="write oci-archive:FILE[:TAG]"
        )
    return found


def _annotation(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InvalidRequestError(f"--annotation {text!r} has no value", hint="write NAME=VALUE")
    return name, value
