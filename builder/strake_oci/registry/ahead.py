"""Reads what is to be sent in a thread of its own, for blobs that go from one registry to another.

Receiving and hashing take as long as sending. One after the other they leave the network idle by turns.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

PIECES: Final = 6
"""That wait to be sent."""


def read_ahead(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yield the same pieces, the next ones being read meanwhile.

    When it is closed or ends, the thread has ended too: it waits for the piece that is being read.

    Raises:
        Exception: Whatever reading raises, after the pieces before it.
    """
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(PIECES)
    stopped = threading.Event()

    def read() -> None:
        end: BaseException | None = None
        try:
            for piece in pieces:
                waiting.put(piece)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 raised where the pieces are awaited
            end = error
        waiting.put(end)

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (piece := waiting.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        stopped.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):  # it may wait for room
                waiting.get_nowait()
            thread.join(0.01)
