"""Readers that do not let wrong content through, and copies that do not either."""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from strake_oci.errors import DigestMismatchError, MirrorError, SizeExceededError, SizeMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from strake_oci.images import Readable
    from strake_oci.spec.descriptor import Descriptor
    from strake_oci.spec.digest import Digest

T = TypeVar("T")

PIECE: Final = 1024 * 1024
"""Bytes read at a time where whole blobs are moved."""


class Source(Protocol):
    """Where content comes from: a binary file will do."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most `size` bytes, and b"" at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class CheckedReader(io.RawIOBase):
    """A binary file whose content is checked while it is read: all follows from reading a piece."""

    @abstractmethod
    def _read(self, size: int) -> bytes:
        """Return at most so many bytes, and b"" only at the end of verified content."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most `size` bytes, and b"" only at the end of verified content.

        Without a size, the whole rest is returned: only for blobs that are known to be small.

        Raises:
            DigestMismatchError, SizeExceededError, SizeMismatchError: It is not what it should be.
        """
        if size is None or size < 0:
            return b"".join(iter(lambda: self._read(PIECE), b""))
        return self._read(size)

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override] # RawIOBase takes any buffer
        """Fill the buffer with what there is, at least one byte unless at the end."""
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)


class VerifyingReader(CheckedReader):
    """A binary file that is checked while it is read: the last piece is handed out only if all is right.

    Args:
        raw: The content; closed with this reader.
        descriptor: What it must be.
        what: Names it in errors.
        on_bytes: Called with the number of bytes as they are read.
    """

    def __init__(
        self, raw: Source, descriptor: Descriptor, what: str, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self._raw = raw
        self._what = what
        self._hasher = descriptor.digest.hasher()
        self._on_bytes = on_bytes
        self._checked = False

    def _read(self, size: int) -> bytes:
        piece = (self._raw.read(size) or b"") if size else b""
        self._hasher.update(piece)
        if self._on_bytes and piece:
            self._on_bytes(len(piece))
        if self._hasher.size >= self.descriptor.size or (size and not piece):
            self._check()
        return piece

    def close(self) -> None:
        """Close the file."""
        self._raw.close()
        super().close()

    def _check(self) -> None:
        if self._checked:
            return
        size = self.descriptor.size
        if self._hasher.size > size or (self._hasher.size == size and self._raw.read(1)):
            raise SizeExceededError(f"{self._what} is longer than the {size} bytes it should have")
        if self._hasher.size < size:
            raise SizeMismatchError(f"{self._what} ends after {self._hasher.size} of {size} bytes")
        actual = self._hasher.digest()
        if actual != self.descriptor.digest:
            raise DigestMismatchError(self.descriptor.digest, actual, what=self._what)
        self._checked = True


def digest_of(content: Readable, digest: Digest) -> Digest:
    """Return the digest of content by the algorithm of another digest."""
    hasher = digest.hasher()
    while piece := content.read(PIECE):
        hasher.update(piece)
    return hasher.digest()


def copy_checked(
    source: Readable,
    write: Callable[[bytes], object],
    descriptor: Descriptor,
    on_bytes: Callable[[int], None] | None = None,
) -> None:
    """Move content from a source of any kind to a function, and make sure that it was the right content.

    Raises:
        DigestMismatchError, SizeExceededError, SizeMismatchError: It was not; what was written must be thrown
        away.
    """
    hasher = descriptor.digest.hasher()
    while piece := source.read(PIECE):
        hasher.update(piece)
        if hasher.size > descriptor.size:
            raise SizeExceededError(
                f"blob {descriptor.digest} is longer than the {descriptor.size} bytes it should have"
            )
        write(piece)
        if on_bytes:
            on_bytes(len(piece))
    if hasher.size < descriptor.size:
        raise SizeMismatchError(
            f"blob {descriptor.digest} ends after {hasher.size} of {descriptor.size} bytes"
        )
    if (actual := hasher.digest()) != descriptor.digest:
        raise DigestMismatchError(descriptor.digest, actual, what="blob")


class CountedOnce:
    """Tells of the bytes of a blob that may be moved again from its start, so that each counts once.

    Args:
        on_bytes: Called with the number of bytes; None where nobody wants to know.
    """

    def __init__(self, on_bytes: Callable[[int], None] | None) -> None:
        self._on_bytes = on_bytes
        self._furthest = 0

    def from_start(self) -> Callable[[int], None]:
        """Return what to call with numbers of bytes while the blob is moved, this time."""
        position = 0

        def count(more: int) -> None:
            nonlocal position
            position += more
            fresh = position - self._furthest
            if fresh > 0:
                self._furthest = position
                if self._on_bytes is not None:
                    self._on_bytes(fresh)

        return count


def read_whole(open_blob: Callable[[], AbstractContextManager[Readable]]) -> bytes:
    """Return a blob that is known to be small, checked; it is read anew when a mirror was to blame.

    Args:
        open_blob: opens it, as `RegistryClient.open_blob` does.

    Raises:
        OCIError: It is not there, or not what it should be.
    """

    def read() -> bytes:
        with open_blob() as content:
            return b"".join(iter(lambda: content.read(PIECE), b""))

    return despite_mirrors(read)


def despite_mirrors(action: Callable[[], T]) -> T:
    """Return what an action returns that reads blobs; it is begun anew when a mirror was to blame.

    Each time one mirror less is asked, so this has an end.
    """
    while True:
        try:
            return action()
        except MirrorError:
            continue
