"""Reads a stream in a thread of its own, ahead of whoever uses it.

A layer that is pulled is received, hashed, decompressed and hashed again before its members become files.
All of that releases the interpreter lock, as does making files, so that the two halves take turns only where
they must. The queue is short: memory does not grow with the layer.
"""

from __future__ import annotations

import queue
import threading
from typing import Final, Self

from strake_builder.layers.tar_reader import ByteSource

_PIECE: Final = 256 << 10
_QUEUED: Final = 8


class ReadAhead:
    """The same bytes as `source`, which another thread reads meanwhile. Leaving the context ends the thread.

    Args:
        source: read in the other thread alone until the context is left.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._pieces: queue.Queue[bytes | BaseException] = queue.Queue(_QUEUED)
        self._piece = b""
        self._at = 0
        self._stopped = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and empty only at the end.

        Raises:
            Exception: whatever reading `source` raised, in its place among the bytes.
        """
        if self._at == len(self._piece):
            if self._ended:
                return b""
            piece = self._pieces.get()
            if isinstance(piece, BaseException):
                self._ended = True
                raise piece
            self._ended = not piece
            self._piece, self._at = piece, 0
        data = self._piece[self._at : self._at + size]
        self._at += len(data)
        return data

    def _run(self) -> None:
        try:
            while not self._stopped and (piece := self._source.read(_PIECE)):
                self._pieces.put(piece)
            self._pieces.put(b"")
        except BaseException as error:  # noqa: BLE001 - handed to the thread that reads
            self._pieces.put(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        while self._thread.is_alive():
            try:
                self._pieces.get(timeout=0.01)  # it may wait for room
            except queue.Empty:
                continue
        self._thread.join()
