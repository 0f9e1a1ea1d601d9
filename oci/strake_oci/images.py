"""Where images live, by what can be done there: the two protocols that `copying` needs.

Implementations: `registry.images.RegistryImages`, `layout.Layout`, `archive` (tar files) and
`memory.MemoryImages`; one contract test suite runs against all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import BytesLike, Digest


class Readable(Protocol):
    """All that is needed of a stream of content: a binary file will do."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and b"" at the end."""
        ...


class Upload(Protocol):
    """A blob that is being written before its digest is known."""

    def write(self, data: BytesLike) -> int:
        """Take the next bytes."""
        ...

    def commit(self, digest: Digest, media_type: str = ...) -> Descriptor:
        """End the blob and make it available under its digest."""
        ...

    def cancel(self) -> None:
        """Give up; nothing remains. Does nothing after `commit`."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class ImageReader(Protocol):
    """Images can be read from here. All content is checked against its digest."""

    def resolve(self, name: str) -> Descriptor:
        """Return the manifest or index that a tag or digest names.

        Raises:
            OCIError: There is none, or the store cannot be read.
        """
        ...

    def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a manifest or index, at most 4 MiB.

        Raises:
            OCIError: It is not there, or not what the descriptor says.
        """
        ...

    def open_blob(
        self, descriptor: Descriptor, on_bytes: Callable[[int], None] | None = None
    ) -> AbstractContextManager[Readable]:
        """Open a blob; reading to the end proves its content.

        Raises:
            OCIError: It is not there; while reading: it is not what the descriptor says.
        """
        ...


class ImageWriter(Protocol):
    """Images can be written to here. Whatever a manifest refers to is written before it."""

    def has_blob(self, digest: Digest) -> bool:
        """Tell whether a blob is there already."""
        ...

    def push_blob(
        self,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        on_bytes: Callable[[int], None] | None = None,
    ) -> bool:
        """Write a blob unless it is there; return whether bytes were written.

        Raises:
            OCIError: The source is not what the descriptor says, or the store cannot be written.
        """
        ...

    def start_upload(self, on_bytes: Callable[[int], None] | None = None) -> Upload:
        """Begin to write a blob whose digest is not known yet."""
        ...

    def push_manifest(self, data: bytes, media_type: str, tag: str | None = None) -> Descriptor:
        """Write a manifest or index, and let a tag point to it.

        Raises:
            OCIError: The store cannot be written.
        """
        ...
