"""Blobs as they flow in: checked, bounded, and continued after a broken connection.

The last piece is handed out only when size and digest are right, so that a consumer that reads to the end has
read what it asked for, whichever source served it.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from strake_oci.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    DigestMismatchError,
    OCIError,
    ProtocolError,
    RegistryError,
    SizeExceededError,
    StoppedError,
)
from strake_oci.registry.blobs import range_fetch
from strake_oci.registry.retry import is_temporary, with_attempts
from strake_oci.registry.session import Call
from strake_oci.verify import CheckedReader

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from strake_oci.http.transport import Answer
    from strake_oci.registry.mirrors import PullSources
    from strake_oci.registry.session import Session
    from strake_oci.spec.descriptor import Descriptor

_SKIP: Final = frozenset({200, range_fetch.PARTIAL})

_SEEKS: Final = 3
"""Times that a blob seeks help of more connections, which may have broken off."""

STALL_WINDOW: Final = 60.0
"""Seconds of waiting for the network after which the rate is looked at."""

STALL_BYTES: Final = 64 * 1024
"""Bytes that must have come in that time. A server that drips slower holds a builder for nothing."""


class BlobReader(CheckedReader):
    """A blob as a readable binary file. Not thread-safe.

    Args:
        sources: Where to read: when one fails for good, the next goes on.
        descriptor: What is wanted.
        on_bytes: Called with the number of bytes as they come.
        help_slots: One for each blob that may be fetched over several connections at a time.
        clock: Seconds, monotonic.

    Raises:
        BlobUnknownError: The repository has no such blob (on opening).
        DigestMismatchError, SizeExceededError: The content is not what was asked for (while reading).
        MirrorError: Likewise, and a mirror served it: opening the blob again asks another source.
        RegistryError: It could not be read, even after all the tries.
    """

    def __init__(
        self,
        sources: PullSources,
        descriptor: Descriptor,
        on_bytes: Callable[[int], None] | None = None,
        help_slots: threading.Semaphore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.descriptor = descriptor
        self._sources = sources
        self._others = deque((*sources.mirrors, sources.last))
        self._session = self._others.popleft()
        self._served: list[Session] = []
        self._on_bytes = on_bytes
        self._clock = clock
        self._operation = f"pulling blob {descriptor.digest}"
        self._hasher = descriptor.digest.hasher()
        self._piece, self._taken = b"", 0
        self._answer: Answer | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._notes: list[str] = []
        self._failures = 0
        self._failed_at = -STALL_BYTES
        self._begun = clock()
        self._blocked = 0.0
        self._window_start = 0
        self._pace = range_fetch.Pace()
        self._parts: range_fetch.RangeFetch | None = None
        self._help_slots = help_slots
        self._seeks_left = _SEEKS
        if descriptor.size:
            self._open()
        else:
            self._verify()

    def _read(self, size: int) -> bytes:
        if self._taken == len(self._piece):
            self._piece, self._taken = self._next(), 0
        start, self._taken = self._taken, min(self._taken + size, len(self._piece))
        return self._piece[start : self._taken]

    def close(self) -> None:
        """Let go of the connections."""
        self._let_go()
        super().close()

    def _let_go(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        if self._parts is not None:
            self._parts.close()
            self._parts = None
            if self._help_slots is not None:
                self._help_slots.release()

    def _next(self) -> bytes:
        """Return the next piece, b"" at the end; the last one only after the check."""
        if self._hasher.size == self.descriptor.size:
            return b""
        while True:
            try:
                piece = self._take()
            except RegistryError as error:
                self._reconnect(error)
                continue
            self._hasher.update(piece)
            if self._hasher.size >= self.descriptor.size:
                self._verify()
                self._finish()
            elif self._pace.is_slow:
                self._seek_help()
            if self._on_bytes:
                self._on_bytes(len(piece))
            return piece

    def _take(self) -> bytes:
        asked = self._clock()
        piece = next(self._pieces, b"")
        if not piece:
            context = self._session.context(self._operation)
            at, size = self._hasher.size, self.descriptor.size
            raise ConnectionFailedError(context, f"the content ended after {at} of {size} bytes")
        waited = self._clock() - asked
        self._pace.note(waited, len(piece))
        self._blocked += waited
        if self._blocked > STALL_WINDOW:
            if self._hasher.size - self._window_start < STALL_BYTES:
                context = self._session.context(self._operation)
                raise DeadlineExceededError(
                    context, f"fewer than {STALL_BYTES} bytes in {STALL_WINDOW:.0f} seconds"
                )
            self._blocked, self._window_start = 0.0, self._hasher.size
        return piece

    def _verify(self) -> None:
        if self._hasher.size > self.descriptor.size:
            raise self._wrong(self._too_long())
        actual = self._hasher.digest()
        if actual != self.descriptor.digest:
            served = " and ".join(str(session.repository) for session in self._served) or "nowhere"
            raise self._wrong(DigestMismatchError(self.descriptor.digest, actual, what=f"blob from {served}"))

    def _wrong(self, error: OCIError) -> OCIError:
        self.close()
        return self._sources.blamed(self._served, error)

    def _too_long(self) -> SizeExceededError:
        size, repository = self.descriptor.size, self._session.repository
        return SizeExceededError(
            f"{self._operation} ({repository}): more than the {size} bytes it should have"
        )

    def _finish(self) -> None:
        """Read the end of the answer, without which its connection could not be used again."""
        with contextlib.suppress(RegistryError):  # the content is there and right
            if next(self._pieces, b""):
                raise self._wrong(self._too_long())

    def _open(self) -> None:
        """Connect to the first source that answers."""
        while True:
            try:
                self._session.retrier.run(self._connect)
            except OCIError as error:
                self._move_on(error)
            else:
                return

    def _reconnect(self, error: RegistryError) -> None:
        """Go on where the connection broke; attempts are counted anew when enough came in between.

        A server that breaks the connection after each byte is as slow as one that drips.
        """
        while True:
            if self._hasher.size - self._failed_at >= STALL_BYTES:
                self._failures, self._begun, self._failed_at = 0, self._clock(), self._hasher.size
            self._failures += 1
            elapsed = self._clock() - self._begun
            if not self._session.retrier.pause(self._failures, elapsed, error):
                self._move_on(with_attempts(error, self._failures, elapsed))
                self._open()
                return
            try:
                self._connect()
            except RegistryError as again:
                error = again
            else:
                return

    def _move_on(self, error: OCIError) -> None:
        """Turn to the next source; without one, raise the error."""
        if not self._others:
            for note in self._notes:
                error.add_note(note)
            raise error
        self._notes.append(self._sources.passed_over(self._session, error))
        self._session = self._others.popleft()
        self._failures, self._begun, self._failed_at = 0, self._clock(), self._hasher.size

    def _seek_help(self) -> None:
        """Have the rest of the blob fetched over several connections; this one goes on until they deliver."""
        self._pace = range_fetch.Pace()
        start, size = self._hasher.size + range_fetch.PART, self.descriptor.size
        if self._parts is not None or self._seeks_left == 0 or size - start < range_fetch.WORTH:
            return
        if self._help_slots is not None and self._help_slots.acquire(blocking=False):
            self._seeks_left -= 1
            fetch = partial(range_fetch.fetch, self._session, self.descriptor.digest, self._operation)
            self._parts = range_fetch.RangeFetch(fetch, start, size)
            self._pieces = self._handed_over(self._pieces, self._parts)

    def _handed_over(self, pieces: Iterator[bytes], helpers: range_fetch.RangeFetch) -> Iterator[bytes]:
        """Yield what the connection brings up to the first part, and the parts unless fetching them fails."""
        at = self._hasher.size
        for piece in pieces:
            at += len(piece)
            if at - len(piece) < helpers.start <= at and helpers.have_begun():
                yield piece[: len(piece) - (at - helpers.start)]
                break
            yield piece
        else:
            return
        if self._answer is not None:
            self._answer.close()
        try:
            yield from helpers.pieces()
        except RegistryError as error:
            if is_temporary(error) or isinstance(error, StoppedError):
                raise
            # Whether it fails for good is for one connection to say.
            context = self._session.context(self._operation)
            raise ConnectionFailedError(context, f"a part did not come: {error.message}") from error

    def _connect(self) -> None:
        self._let_go()
        at = self._hasher.size
        headers = {"Range": f"bytes={at}-"} if at else {}
        call = Call("GET", f"blobs/{self.descriptor.digest}", self._operation, _SKIP, headers)
        answer = self._session.once(call)
        self._blocked, self._window_start, self._pace = 0.0, at, range_fetch.Pace()
        try:
            self._pieces = self._positioned(answer, at)
        except OCIError:
            answer.close()
            raise
        self._answer = answer
        if self._session not in self._served:
            self._served.append(self._session)

    def _positioned(self, answer: Answer, at: int) -> Iterator[bytes]:
        pieces = answer.stream()
        start = 0
        if answer.status == range_fetch.PARTIAL:
            found = range_fetch.CONTENT_RANGE.fullmatch(answer.header("content-range"))
            start = int(found.group(1)) if found else -1
            if not 0 <= start <= at:
                context = self._session.context(self._operation)
                raise ProtocolError(context, f"asked for bytes from {at} on, the registry sends others")
        else:
            self._check_length(answer.content_length)
        return _without(pieces, at - start)

    def _check_length(self, announced: int | None) -> None:
        size = self.descriptor.size
        if announced is not None and announced > size:
            raise SizeExceededError(
                f"{self._operation} ({self._session.repository}): "
                f"the registry announces {announced} bytes instead of {size}"
            )
        if announced is not None and announced < size:
            context = self._session.context(self._operation)
            raise ProtocolError(context, f"the registry announces {announced} bytes instead of {size}")


def _without(pieces: Iterator[bytes], skip: int) -> Iterator[bytes]:
    """Yield the pieces less their first bytes: for servers that ignore Range."""
    for piece in pieces:
        if skip >= len(piece):
            skip -= len(piece)
            continue
        yield piece[skip:] if skip else piece
        skip = 0
