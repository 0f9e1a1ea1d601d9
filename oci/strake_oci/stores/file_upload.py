"""A blob that is being written into a file before its digest is known."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from strake_oci.errors import DigestMismatchError, LayoutError
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest, Hasher
from strake_oci.verify import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from strake_oci.spec.digest import BytesLike

_OCTETS: Final = "application/octet-stream"


class FileUpload:
    """A blob in a file that belongs to it alone; see `images.Upload`.

    Args:
        file: Where it is written, open for reading too, without a buffer; closed here.
        keep: Makes the whole, checked file the store's.
        title: Names the store in errors.
        on_bytes: Called with the number of bytes as they are written.
        discard: Called if the blob is not kept.
    """

    def __init__(
        self,
        file: BinaryIO,
        keep: Callable[[BinaryIO, Descriptor], object],
        title: str,
        *,
        on_bytes: Callable[[int], None] | None = None,
        discard: Callable[[], None] = lambda: None,
    ) -> None:
        self._file: BinaryIO | None = file
        self._keep = keep
        self._title = title
        self._on_bytes = on_bytes
        self._discard = discard
        self._hasher = Hasher()

    def write(self, data: BytesLike) -> int:
        """Take the next bytes.

        Raises:
            LayoutError: They cannot be written, or the upload has ended.
        """
        file = self._open_file("write")
        view = memoryview(data)
        with self._explained():
            written = 0
            while written < view.nbytes:
                written += file.write(view[written:])
        self._hasher.update(view)
        if self._on_bytes:
            self._on_bytes(view.nbytes)
        return view.nbytes

    def commit(self, digest: Digest, media_type: str = _OCTETS) -> Descriptor:
        """Check the digest and make the blob available.

        Raises:
            DigestMismatchError: Something else was written.
            LayoutError: It cannot be kept, or the upload has ended.
        """
        file = self._open_file("commit")
        descriptor = Descriptor(media_type, digest, self._hasher.size)
        with self._explained():
            if (actual := self._actual(file, digest)) != digest:
                self.cancel()
                raise DigestMismatchError(digest, actual, what="blob")
            file.seek(0)
            self._keep(file, descriptor)
            self._file = None
            file.close()
        return descriptor

    def _actual(self, file: BinaryIO, digest: Digest) -> Digest:
        if digest.algorithm == self._hasher.algorithm:
            return self._hasher.digest()
        file.seek(0)
        return digest_of(file, digest)

    def cancel(self) -> None:
        """Throw away what was written. Does nothing after `commit`."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._discard()

    def _open_file(self, action: str) -> BinaryIO:
        if self._file is None:
            raise LayoutError(f"{action} after the end of an upload")
        return self._file

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LayoutError(f"{self._title}: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
