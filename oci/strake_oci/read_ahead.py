"""Reads a stream in a thread of its own, ahead of its reader.

What comes from a registry is received and hashed, a layer's also decompressed and hashed again, before it is
sent on or becomes files. All of that lets other threads run. One after the other the two halves would leave
network, processor and disk idle by turns.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from strake_oci.images import Readable

PIECE: Final = 256 * 1024
"""Bytes that are read at a time, by default."""

PIECES: Final = 8
"""That wait to be used: memory does not grow with the stream."""


class ReadAhead:
    """The same bytes as `source`, which another thread reads meanwhile.

    The thread has the context variables of the one that makes this. Leaving the context ends the thread; a
    piece that is being read is waited for.

    Args:
        source: Read in the other thread alone until the context is left.
        piece: Bytes to read at a time.
    """

    def __init__(self, source: Readable, piece: int = PIECE) -> None:
        self._source = source
        self._size = piece
        self._piece, self._taken = b"", 0
        self._waiting: deque[bytes] = deque()
        self._error: BaseException | None = None
        self._is_over = False
        self._is_left = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=[self._run], name="read-ahead", daemon=True
        )

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and b"" only at the end.

        Raises:
            Exception: Whatever reading `source` raised, after the bytes that came before it.
        """
        if self._taken == len(self._piece):
            self._piece, self._taken = self._next(), 0
        start, self._taken = self._taken, min(self._taken + size, len(self._piece))
        return self._piece[start : self._taken]

    def _next(self) -> bytes:
        with self._changed:
            while not self._waiting and not self._is_over:
                self._changed.wait()
            if self._waiting:
                self._changed.notify()
                return self._waiting.popleft()
            error, self._error = self._error, None
        if error is not None:
            raise error
        return b""

    def _run(self) -> None:
        try:
            while (piece := self._source.read(self._size)) and self._keep(piece):
                pass
        except BaseException as error:  # noqa: BLE001 - raised where the bytes are awaited
            self._error = error
        with self._changed:
            self._is_over = True
            self._changed.notify()

    def _keep(self, piece: bytes) -> bool:
        """Hand a piece over when there is room; return False if nobody wants it any more."""
        with self._changed:
            while len(self._waiting) == PIECES and not self._is_left:
                self._changed.wait()
            self._waiting.append(piece)
            self._changed.notify()
            return not self._is_left

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_left = True
            self._changed.notify()
        self._thread.join()
