"""Uploading a stream whose length and digest are known only at its end: a layer while it is being made.

Short streams go out as one request when they are done. Longer ones are sent by a thread while the writer goes
on, as one PATCH, which is what most registries handle best; where one insists on lengths, in chunks. A
failure is mended from the window of recently sent bytes.
"""

from __future__ import annotations

import io
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from strake_oci.errors import (
    RegistryError,
    RejectedError,
    UploadInvalidError,
)
from strake_oci.registry.blobs.push import CHUNK, PIECE, BlobPush
from strake_oci.registry.blobs.replay_buffer import ReplayWindow, WindowPassedError
from strake_oci.registry.blobs.upload import UploadSession
from strake_oci.registry.retry import with_attempts
from strake_oci.spec.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from strake_oci.registry.session import Session
    from strake_oci.spec.digest import BytesLike, Digest

SMALL: Final = 2 * 1024 * 1024
"""Bytes up to which a stream is held back to be sent in one request."""

_OCTETS: Final = "application/octet-stream"
_TOO_LARGE: Final = frozenset({411, 413, 501})


class BlobUpload:
    """A blob that is being written to a registry, by one thread; leaving the context uncommitted cancels it.

    Args:
        session: The repository.
        exists: Asks the registry whether it has a blob.
        on_bytes: Called with the number of bytes as they go out, from another thread.

    Attributes:
        size: Bytes written so far.
    """

    def __init__(
        self,
        session: Session,
        exists: Callable[[Digest], bool],
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self._session = session
        self._exists = exists
        self._on_bytes = on_bytes
        self._held = bytearray()
        self._sender: _Sender | None = None
        self._done = False
        self.size = 0

    def write(self, data: BytesLike) -> int:
        """Take the next bytes; waits while the network is behind. What could change is copied.

        Raises:
            RegistryError: The upload failed for good.
        """
        view = memoryview(data)
        self.size += view.nbytes
        if self._sender is not None and not self._held and isinstance(data, bytes) and len(data) >= PIECE:
            self._sender.write(data)  # it cannot change: no need for a copy
            return len(data)
        self._held += view
        if self._sender is None and len(self._held) > SMALL:
            self._sender = _Sender(self._session, self._on_bytes)
            self._sender.start()
        if self._sender is not None and len(self._held) >= PIECE:
            self._sender.write(bytes(self._held))
            self._held.clear()
        return view.nbytes

    def commit(self, digest: Digest, media_type: str = _OCTETS) -> Descriptor:
        """End the blob; return when the registry has it under this digest.

        Args:
            digest: Of all bytes written.
            media_type: For the descriptor that is returned.

        Raises:
            RegistryError: The upload failed, or the registry finds another digest.
        """
        self._done = True
        descriptor = Descriptor(media_type, digest, self.size)
        if self._sender is None:
            content = bytes(self._held)
            push = BlobPush(
                self._session,
                descriptor,
                lambda: io.BytesIO(content),
                lambda: self._exists(digest),
                self._on_bytes,
            )
            push.run()
        else:
            self._sender.write(bytes(self._held))
            self._sender.commit(digest, lambda: self._exists(digest))
        return descriptor

    def cancel(self) -> None:
        """Give up and tell the registry so. Does nothing after `commit`."""
        if not self._done:
            self._done = True
            if self._sender is not None:
                self._sender.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class _AbandonedError(Exception):
    """The writer gave up. A request that ended regularly would be waited for, for its answer."""


class _Sender(threading.Thread):
    """Sends what is written, in a thread of its own."""

    def __init__(self, session: Session, on_bytes: Callable[[int], None] | None) -> None:
        super().__init__(name="blob-upload", daemon=True)
        self._session = session
        self._on_bytes = on_bytes
        self._window = ReplayWindow()
        self._upload: UploadSession | None = None
        self._error: BaseException | None = None
        self._counted = 0
        self._chunked = False

    def write(self, data: bytes) -> None:
        if data and not self._window.write(data):
            self.join()
            self._raise()

    def commit(self, digest: Digest, exists: Callable[[], bool]) -> None:
        self._window.close()
        self.join()
        self._raise()
        upload = self._upload
        assert upload is not None  # noqa: S101 the thread ended without an error
        begun, failures = time.monotonic(), 0
        while True:
            try:
                upload.finish(digest)
            except RegistryError as error:
                failures += 1
                elapsed = time.monotonic() - begun
                again = self._session.retrier.pause(failures, elapsed, error)
                if (again or isinstance(error, UploadInvalidError)) and exists():
                    return
                if not again:
                    upload.cancel()
                    raise with_attempts(error, failures, elapsed) from error
            else:
                return

    def cancel(self) -> None:
        self._window.abandon()
        self.join()
        if self._upload is not None:
            self._upload.cancel()

    def run(self) -> None:
        try:
            self._upload = UploadSession.start(self._session)
            if self._upload is not None:
                self._send_all(self._upload)
        except BaseException as error:  # noqa: BLE001 raised in the writer's thread, which would wait for ever
            self._error = error
            self._window.abandon()

    def _send_all(self, upload: UploadSession) -> None:
        begun, failures, best = time.monotonic(), 0, 0
        while True:
            try:
                self._send_rest(upload)
            except RegistryError as error:
                if self._window.is_abandoned:
                    return
                if self._window.sent - best >= PIECE:
                    begun, failures, best = time.monotonic(), 0, self._window.sent
                failures += 1
                upload = self._mended(upload, error, failures, time.monotonic() - begun)
            else:
                return

    def _send_rest(self, upload: UploadSession) -> None:
        if self._chunked:
            self._window.widen(upload.chunk_minimum)
            self._send_chunks(upload)
            return
        start = upload.offset
        reported = upload.append(lambda: self._pieces(start, None), None)
        sent = self._window.end
        if reported not in {None, 0, sent} and not self._window.is_abandoned:
            context = self._session.context("uploading a blob")
            raise UploadInvalidError(context, f"sent {sent} bytes, the registry has {reported}")
        upload.offset = sent

    def _send_chunks(self, upload: UploadSession) -> None:
        while length := self._window.await_bytes(upload.offset, max(CHUNK, upload.chunk_minimum)):
            upload.append(partial(self._pieces, upload.offset, length), length)

    def _pieces(self, start: int, length: int | None) -> Iterator[bytes]:
        try:
            for piece in self._window.read_from(start, length):
                yield piece
                start += len(piece)
                fresh = start - self._counted
                if fresh > 0 and self._on_bytes:
                    self._on_bytes(fresh)
                self._counted = max(self._counted, start)
            if self._window.is_abandoned:
                raise _AbandonedError
        except WindowPassedError as error:
            raise UploadInvalidError(
                self._session.context("uploading a blob"),
                f"the registry lost what was sent before byte {start}, and the stream cannot be sent again",
            ) from error

    def _mended(
        self, upload: UploadSession, error: RegistryError, failures: int, elapsed: float
    ) -> UploadSession:
        """Return an upload that can go on from its offset.

        Raises:
            RegistryError: It cannot.
        """
        retrier = self._session.retrier
        refused = isinstance(error, RejectedError) and error.context.status in _TOO_LARGE
        lost = isinstance(error, UploadInvalidError)
        if refused and not self._chunked:
            self._chunked = True
        elif failures >= retrier.policy.attempts or not (lost or retrier.pause(failures, elapsed, error)):
            upload.cancel()
            raise with_attempts(error, failures, elapsed) from error
        if not lost:
            try:
                # An offset beyond what was sent is a lie; one of zero says nothing. Both mean to start anew.
                if 0 < upload.recover() <= self._window.sent:
                    return upload
            except UploadInvalidError as gone:
                error = gone
        upload.cancel()
        if not self._window.is_whole:
            raise UploadInvalidError(
                error.context, "the upload is lost, and the stream cannot be sent again from its start"
            ) from error
        self._upload = UploadSession.start(self._session)
        assert self._upload is not None  # noqa: S101 nothing was asked to be mounted
        return self._upload

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
