"""A bounded pipe that remembers its last bytes, so that a broken upload of a stream can be continued.

One thread writes, another sends. What was sent stays for a while: a registry that lost the end of it can be
sent that end again, although the stream itself is gone.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

AHEAD: Final = 8 * 1024 * 1024
"""Bytes that may be written before they are sent; then the writer waits."""

KEPT: Final = 16 * 1024 * 1024
"""Bytes kept after they were sent."""


class WindowPassedError(Exception):
    """What is asked for is not kept any more."""


class ReplayWindow:
    """The pipe. Memory: at most `ahead` + `kept` bytes and one piece each."""

    def __init__(self, ahead: int = AHEAD, kept: int = KEPT) -> None:
        self._ahead, self._kept = ahead, kept
        self._pieces: deque[bytes] = deque()
        self._base = 0  # position of the first piece
        self._end = 0  # position after the last
        self._sent = 0  # how far any reader has come
        self._closed = False
        self._broken = False
        self._changed = threading.Condition()

    @property
    def end(self) -> int:
        """Bytes written so far."""
        return self._end

    @property
    def is_whole(self) -> bool:
        """Whether everything is still there from the first byte on."""
        return self._base == 0

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody reads any more."""
        return self._broken

    def widen(self, ahead: int) -> None:
        """Let the writer be at least so many bytes ahead."""
        with self._changed:
            self._ahead = max(self._ahead, ahead)
            self._changed.notify_all()

    @property
    def sent(self) -> int:
        """Bytes that were handed out at least once."""
        return self._sent

    def write(self, data: bytes) -> bool:
        """Append, waiting for room; return False if the reader is gone for good."""
        with self._changed:
            while self._end - self._sent >= self._ahead and not self._broken:
                self._changed.wait()
            if self._broken:
                return False
            self._pieces.append(data)
            self._end += len(data)
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """Say that nothing more will be written."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nobody will read any more; writers are let go."""
        with self._changed:
            self._broken = True
            self._pieces.clear()
            self._changed.notify_all()

    def read_from(self, position: int, length: int | None = None) -> Iterator[bytes]:
        """Yield what is at a position and after, until the writer closes or `length` bytes came.

        Raises:
            WindowPassedError: That position is not kept any more.
        """
        stop = None if length is None else position + length
        while stop is None or position < stop:
            piece = self._piece_at(position)
            if not piece:
                return
            if stop is not None:
                piece = piece[: stop - position]
            yield piece
            position += len(piece)
            self._mark_sent(position)

    def await_bytes(self, position: int, count: int) -> int:
        """Wait for `count` bytes from a position on, or the writer's end; return how many there are."""
        with self._changed:
            # A reader that waits for more than the writer may be ahead would wait for ever.
            while self._end - position < min(count, self._ahead) and not (self._closed or self._broken):
                self._changed.wait()
            return min(count, self._end - position)

    def _piece_at(self, position: int) -> bytes:
        with self._changed:
            while position >= self._end and not (self._closed or self._broken):
                self._changed.wait()
            if self._broken or position >= self._end:
                return b""
            if position < self._base:
                raise WindowPassedError
            start = self._base
            for piece in self._pieces:
                if position < start + len(piece):
                    return piece[position - start :] if position > start else piece
                start += len(piece)
            raise AssertionError("positions are contiguous")

    def _mark_sent(self, position: int) -> None:
        with self._changed:
            self._sent = max(self._sent, position)
            while self._pieces and self._base + len(self._pieces[0]) <= self._sent - self._kept:
                self._base += len(self._pieces.popleft())
            self._changed.notify_all()
