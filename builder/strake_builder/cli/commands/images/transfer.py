"""One image on its way from one place to another: what `copy` and `push` share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from strake_builder.cli.image_locations import ImageLocation, open_destination, open_source
from strake_builder.errors import BaseImageError, BuildError, OutputError, PushUnauthorizedError
from strake_builder.output.immutable_tags import is_immutable
from strake_builder.progress.transfer import Transfer
from strake_builder.progress.transfer_lines import TransferLines

if TYPE_CHECKING:
    from strake_oci.cancellation import Cancellation
    from strake_oci.errors import ErrorContext
    from strake_oci.images import ImageReader, ImageWriter, Readable
    from strake_oci.registry.client import RegistryClient
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.platform import Platform


class ImageSource:
    """An image that is copied, opened once for all destinations.

    Args:
        location: where it is.
        client: speaks to registries.
        cancellation: ends a copy.
        immutable_tags_stay: a tag that its registry does not let move is warned of, and no failure.

    Attributes:
        location: likewise.
    """

    def __init__(
        self,
        location: ImageLocation,
        client: RegistryClient,
        cancellation: Cancellation,
        *,
        immutable_tags_stay: bool = False,
    ) -> None:
        self._immutable_tags_stay = immutable_tags_stay
        self.location = location
        self._client = client
        self._cancellation = cancellation
        self._opened: tuple[ImageReader, str] | None = None

    def copy_to(
        self,
        destination: ImageLocation,
        platform: Platform | None = None,
        beside: ImageLocation | None = None,
    ) -> Descriptor:
        """Copy it; return its manifest or index.

        Args:
            destination: where it goes.
            platform: of an index, the one image that is copied; None copies all.
            beside: where it is already, in the destination's registry: blobs are mounted from there.

        Raises:
            BaseImageError: the source is to blame.
            OutputError: the destination is.
            PushUnauthorizedError: the destination is, because of the credentials.
        """
        from strake_oci.transfers.copying import copy_image

        source = self.location
        with explained(source, destination):
            if self._opened is None:
                self._opened = open_source(source, self._client)
            reader, name = self._opened
            written = open_destination(destination, self._client, beside or source)
            with written as (writer, tag), explained(source, destination):
                return copy_image(
                    reader,
                    name,
                    ProgressWriter(writer, str(destination), immutable_tags_stay=self._immutable_tags_stay),
                    tag,
                    platform=platform,
                    on_bytes=lambda _: self._cancellation.check(),
                    on_failure=self._client.stop,
                )


class ProgressWriter:
    """An `ImageWriter` that tells of every blob as a build tells of what it pushes.

    Args:
        writer: the one that writes.
        destination: its name.
        immutable_tags_stay: see `ImageSource`.
    """

    def __init__(self, writer: ImageWriter, destination: str, *, immutable_tags_stay: bool = False) -> None:
        self._immutable_tags_stay = immutable_tags_stay
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
        """Write a blob, and tell of it."""
        digest, size = str(descriptor.digest), descriptor.size

        def tell(done: int) -> None:
            with self._lock:
                say(self._lines.pushing(self._destination, digest, done, size))

        transfer = Transfer(tell)

        def count(more: int) -> None:
            if on_bytes is not None:
                on_bytes(more)
            transfer(more)

        sent = self._writer.push_blob(descriptor, open_source, count)
        self._say_pushed(digest, size, sent=sent)
        return sent

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        """Write a manifest or index, and tell of it."""
        from strake_oci.errors import RegistryError
        from strake_oci.spec.descriptor import Descriptor

        try:
            pushed = self._writer.push_manifest(data, media_type, tag)
        except RegistryError as error:
            if tag is None or not self._immutable_tags_stay or not is_immutable(error.message):
                raise
            say(f"warning: {self._destination} stays as it is: the registry does not let the tag move")
            return Descriptor.of(media_type, data)
        self._say_pushed(str(pushed.digest), pushed.size, sent=True)
        return pushed

    def _say_pushed(self, digest: str, size: int, *, sent: bool) -> None:
        with self._lock:
            say(self._lines.pushed(self._destination, digest, size, transferred=sent))


def say(line: str) -> None:
    """Tell a person on standard error, unless there is nothing to tell."""
    if line:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


@contextmanager
def explained(source: ImageLocation, destination: ImageLocation) -> Iterator[None]:
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
