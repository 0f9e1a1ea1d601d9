"""A log in memory, bounded: of one that is too long the beginning and the end are kept."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

BEGINNING: Final = 4 << 20
END: Final = 12 << 20
"""Bytes. The gateway has 256 MiB, and compresses what it has here in one piece."""


class KeptLog:
    """Takes the bytes of a log as they come. Thread-safe.

    Args:
        beginning: how many bytes of its beginning are kept.
        end: how many of its end.
    """

    def __init__(self, beginning: int = BEGINNING, end: int = END) -> None:
        self._most = beginning, end
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether nothing came."""
        return not self._head

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        with self._lock:
            self._add(data)

    def _add(self, data: bytes) -> None:
        beginning, end = self._most
        room = beginning - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if not data:
            return
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= end:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self._dropped += gone

    def content(self) -> bytes:
        """Return what is kept. Where something is left out a line tells how much, between whole lines."""
        with self._lock:
            return self._content()

    def _content(self) -> bytes:
        tail = b"".join(self._tail)
        surplus = max(0, len(tail) - self._most[1])
        dropped = self._dropped + surplus
        if not dropped:
            return bytes(self._head) + tail
        tail = tail[surplus:]
        head = bytes(self._head)
        cut_head, cut_tail = head.rfind(b"\n") + 1 or len(head), tail.find(b"\n") + 1
        dropped += len(head) - cut_head + cut_tail
        told = f"== {dropped} bytes of this log are left out here: it was too long\n".encode()
        return head[:cut_head] + told + tail[cut_tail:]
