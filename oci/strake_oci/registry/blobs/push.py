"""Pushing a blob whose size and digest are known and whose content can be read again.

The whole content goes out with the closing PUT, which every registry takes. After a failure the upload is
continued at the offset that the registry reports; where a proxy refuses so large a body (413), it goes out in
chunks.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from strake_oci.errors import (
    RegistryError,
    RejectedError,
    SizeMismatchError,
    UploadInvalidError,
)
from strake_oci.read_ahead import ReadAhead
from strake_oci.registry.blobs.upload import MOUNT_REFUSED, Mount, UploadSession
from strake_oci.registry.retry import with_attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from strake_oci.images import Readable
    from strake_oci.registry.session import Session
    from strake_oci.spec.descriptor import Descriptor

PIECE: Final = 256 * 1024
"""Bytes of a stream that are handed to the network at a time."""

_READ: Final = 1024 * 1024
"""Bytes that are read from a source, and handed to the network, at a time."""

_LARGE: Final = 16 * 1024 * 1024
"""Bytes from which a thread pays."""

CHUNK: Final = 8 * 1024 * 1024
"""Bytes per PATCH where chunks must be sent."""

_TOO_LARGE: Final = frozenset({411, 413})


class BlobPush:
    """One blob on its way up.

    Args:
        session: The repository.
        descriptor: What is pushed.
        open_source: Opens the content from its start, as often as needed.
        exists: Asks the registry whether it has the blob.
        on_bytes: Called with the number of bytes as they go out. Bytes sent again are counted once.
    """

    def __init__(
        self,
        session: Session,
        descriptor: Descriptor,
        open_source: Callable[[], AbstractContextManager[Readable]],
        exists: Callable[[], bool],
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self._session = session
        self._descriptor = descriptor
        self._open_source = open_source
        self._exists = exists
        self._on_bytes = on_bytes
        self._high_water = 0
        self._chunked = False

    def run(self, mount: Mount | None = None) -> bool:
        """Push; return False if the blob was mounted or turned out to be there, and no byte was sent.

        Raises:
            SizeMismatchError: The source ends early.
            RegistryError: The registry refused, or failed for good.
        """
        upload = self._start(mount)
        if upload is None:
            return False
        begun, failures = time.monotonic(), 0
        last_offset = -PIECE
        while True:
            try:
                self._send(upload)
            except RegistryError as error:
                if self._high_water - last_offset >= PIECE:  # that was no vain attempt
                    failures, begun, last_offset = 0, time.monotonic(), self._high_water
                failures += 1
                upload = self._after(error, upload, failures, time.monotonic() - begun)
                if upload is None:
                    return True
            except BaseException:
                upload.cancel()
                raise
            else:
                return True

    def _start(self, mount: Mount | None) -> UploadSession | None:
        if mount is None:
            return UploadSession.start(self._session)
        try:
            upload = UploadSession.start(self._session, mount)
        except MOUNT_REFUSED:
            upload = UploadSession.start(self._session)
        # A mount that works makes the question superfluous, so it comes last.
        if upload is not None and self._exists():
            upload.cancel()
            return None
        return upload

    def _send(self, upload: UploadSession) -> None:
        size, at = self._descriptor.size, upload.offset
        if self._chunked:
            while upload.offset < size:
                length = min(size - upload.offset, max(CHUNK, upload.chunk_minimum))
                upload.append(partial(self._pieces, upload.offset, length), length)
            upload.finish(self._descriptor.digest)
        elif at:
            upload.append(lambda: self._pieces(at, size - at), size - at)
            if upload.offset < size:
                raise UploadInvalidError(
                    self._session.context("uploading a blob"),
                    f"the registry took {upload.offset} of {size} bytes",
                )
            upload.finish(self._descriptor.digest)
        else:
            upload.finish(self._descriptor.digest, lambda: self._pieces(0, size), size)

    def _after(
        self, error: RegistryError, upload: UploadSession, failures: int, elapsed: float
    ) -> UploadSession | None:
        """Return the upload to go on with; None if the blob turns out to be there.

        Raises:
            RegistryError: There is no going on.
        """
        lost = isinstance(error, UploadInvalidError)
        too_large = (
            isinstance(error, RejectedError) and error.context.status in _TOO_LARGE and not self._chunked
        )
        retrier = self._session.retrier
        if too_large:
            self._chunked = True
        elif lost:
            if failures >= retrier.policy.attempts:
                raise with_attempts(error, failures, elapsed) from error
        elif not retrier.pause(failures, elapsed, error):
            upload.cancel()
            raise with_attempts(error, failures, elapsed) from error
        if self._exists():  # the closing answer may be all that was lost
            return None
        if not lost and not too_large:
            try:
                # An offset beyond what was sent is a lie; one of zero says nothing. Both mean to start anew.
                if 0 < upload.recover() <= min(self._high_water, self._descriptor.size):
                    return upload
            except UploadInvalidError:
                pass
        upload.cancel()
        return UploadSession.start(self._session)

    def _pieces(self, start: int, length: int) -> Iterator[bytes]:
        with self._open_source() as opened, contextlib.ExitStack() as scope:
            source: Readable = opened
            _skip(source, start)
            if length >= _LARGE and not _is_seekable(source):
                source = scope.enter_context(ReadAhead(source, _READ))
            for piece in self._read(source, length):
                start += len(piece)
                yield piece
                self._count(start)

    def _read(self, source: Readable, length: int) -> Iterator[bytes]:
        left = length
        while left:
            piece = source.read(min(_READ, left))
            if not piece:
                raise SizeMismatchError(
                    f"the source of blob {self._descriptor.digest} ends {left} bytes early; "
                    f"it should have {self._descriptor.size}"
                )
            left -= len(piece)
            yield piece

    def _count(self, position: int) -> None:
        fresh = position - self._high_water
        if fresh > 0:
            self._high_water = position
            if self._on_bytes:
                self._on_bytes(fresh)


def _is_seekable(source: Readable) -> bool:
    seekable = getattr(source, "seekable", None)
    return seekable is not None and bool(seekable())


def _skip(source: Readable, count: int) -> None:
    seek = getattr(source, "seek", None)
    if count and seek is not None and _is_seekable(source):
        seek(count)
        return
    while count:
        piece = source.read(min(_READ, count))
        if not piece:
            return
        count -= len(piece)
