"""`strake copy`: an image as it is, from one store to another."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final

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
from strake_builder.errors import (
    BaseImageError,
    BuildError,
    InvalidRequestError,
    OutputError,
    PushUnauthorizedError,
)
from strake_builder.output.targets import STANDARD_OUTPUT
from strake_builder.progress.transfer import Transfer
from strake_builder.progress.transfer_lines import TransferLines

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation
    from strake_oci.errors import ErrorContext
    from strake_oci.images import ImageWriter, Readable
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.platform import Platform

_EXAMPLES: Final = """\
SOURCE and DESTINATION are names of images in registries, or
  oci:DIR[:TAG]              an OCI image layout; images that are there stay
  oci-archive:FILE[:TAG]     an OCI image layout in a tar archive
  docker-archive:FILE:IMAGE  an archive for docker load; as a source one of Docker 25 or later

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
    from strake_builder.cli.registries.registry_credentials import user_credentials
    from strake_oci.copying import copy_image
    from strake_oci.registry.client import RegistryClient

    gc.freeze()  # what was imported stays: looking for garbage passes over it
    gc.enable()
    source, destination = parse_location(arguments.source), parse_location(arguments.destination)
    check_destination(destination)
    platform = _platform(arguments.platform, destination)
    insecure = {source.registry, destination.registry} - {""} if arguments.insecure else set()
    settings = read_registries(arguments, *insecure)
    credentials = user_credentials()
    with (
        RegistryClient(
            settings, credentials, warn=lambda text: _say(f"warning: {text}"), cancellation=cancellation
        ) as client,
        _explained(source, destination),
    ):
        reader, name = open_source(source, client)
        with open_destination(destination, client, source) as (writer, tag), _explained(source, destination):
            reporting = _ProgressWriter(writer, str(destination))
            copied = copy_image(
                reader,
                name,
                reporting,
                tag,
                platform=platform,
                on_bytes=lambda _: cancellation.check(),
                on_failure=client.stop,
            )
    stream = sys.stderr if destination.path == STANDARD_OUTPUT else sys.stdout
    stream.write(f"{copied.digest}\n")


def _platform(text: str | None, destination: ImageLocation) -> Platform | None:
    from strake_oci.errors import InvalidPlatformError
    from strake_oci.spec.platform import Platform, host

    if text is None:
        return host() if destination.kind == DOCKER else None
    try:
        return Platform.parse(text)
    except InvalidPlatformError as error:
        raise InvalidRequestError(error.message, hint=error.hint) from error


class _ProgressWriter:
    """An `ImageWriter` that tells of every blob as a build tells of what it pushes."""

    def __init__(self, writer: ImageWriter, destination: str) -> None:
        self._writer = writer
        self._destination = destination
        self._lines = TransferLines()
        self._lock = threading.Lock()
        self.has_blob = writer.has_blob
        self.start_upload = writer.start_upload

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        digest, size = str(descriptor.digest), descriptor.size

        def tell(done: int) -> None:
            with self._lock:
                _say(self._lines.pushing(self._destination, digest, done, size))

        transfer = Transfer(tell)

        def count(more: int) -> None:
            if on_bytes is not None:
                on_bytes(more)
            transfer(more)

        sent = self._writer.push_blob(descriptor, open_source, count)
        self._say_pushed(digest, size, sent=sent)
        return sent

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        pushed = self._writer.push_manifest(data, media_type, tag)
        self._say_pushed(str(pushed.digest), pushed.size, sent=True)
        return pushed

    def _say_pushed(self, digest: str, size: int, *, sent: bool) -> None:
        with self._lock:
            _say(self._lines.pushed(self._destination, digest, size, transferred=sent))


def _say(line: str) -> None:
    if line:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


@contextmanager
def _explained(source: ImageLocation, destination: ImageLocation) -> Iterator[None]:
    """Turn the library's errors into those of a build, which have the exit statuses.

    Raises:
        BaseImageError: the source is to blame.
        OutputError: the destination is.
    """
    from strake_oci.errors import DeniedError, LayoutError, OCIError, RegistryError, UnauthorizedError

    try:
        yield
    except OCIError as error:
        kind: type[BuildError] = BaseImageError
        if isinstance(error, RegistryError) and _is_about(error.context, destination, source):
            refused = isinstance(error, (UnauthorizedError, DeniedError))
            kind = PushUnauthorizedError if refused else OutputError
        elif isinstance(error, LayoutError) and source.reference is not None:
            kind = OutputError
        raise kind(f"cannot copy {source}: {error.account}", hint=error.hint) from error


def _is_about(context: ErrorContext, destination: ImageLocation, source: ImageLocation) -> bool:
    if destination.reference is None or context.registry != destination.registry:
        return False
    # A token for a mount is asked for with the names of both.
    names = context.repository.split(", ")
    return source.registry != destination.registry or destination.reference.repository.path in names
