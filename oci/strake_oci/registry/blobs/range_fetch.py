"""Fetches the rest of a large blob in parts, over several connections at a time.

Object stores, and the networks that deliver for them, give each connection its share of a line, however fast
the line is. Whether it is so shows only while a blob flows: a registry nearby is as fast with one connection
as with four (benchmarks/oci_results.md).
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from strake_oci.errors import ConnectionFailedError, ProtocolError
from strake_oci.registry.session import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from strake_oci.errors import ErrorContext
    from strake_oci.registry.session import Session
    from strake_oci.spec.digest import Digest

CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)", re.ASCII)
_OK, PARTIAL = 200, 206

CONNECTIONS: Final = 4

PART: Final = 8 * 1024 * 1024
"""Bytes that are asked for at a time. So many times the connections are in memory at most."""

WORTH: Final = 8 * PART
"""Bytes that must be left of a blob."""

SLOW: Final = 150e6
"""Bytes a second, below which a connection is worth being helped."""

PATIENCE: Final = 0.5
"""Seconds of waiting for a connection after which it is judged."""


@dataclass(slots=True)
class Pace:
    """How fast a connection brings what is waited for."""

    seconds: float = 0.0
    count: int = 0

    def note(self, seconds: float, count: int) -> None:
        """So many bytes took so long; what was there before anybody asked took nothing."""
        self.seconds += seconds
        self.count += count

    @property
    def is_slow(self) -> bool:
        """Whether more connections are worth a try."""
        return self.seconds >= PATIENCE and self.count < SLOW * self.seconds


@dataclass(slots=True)
class _Part:
    """What has come of a part and was not read yet."""

    left: int
    pieces: deque[bytes] = field(default_factory=deque)
    is_over: bool = False


class RangeFetch:
    """A blob's bytes from a position on, read in order by one thread while others fetch them.

    The threads begin at once, so that a connection that is still delivering can be read up to the start
    meanwhile.

    Args:
        fetch: Yields the bytes from a first to before a last position.
        start: Where the first part begins.
        size: The blob's.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], AbstractContextManager[Iterator[bytes]]],
        start: int,
        size: int,
    ) -> None:
        self.start = start
        self._size = size
        self._fetch = fetch
        self._count = -(-(size - start) // PART)
        self._parts: dict[int, _Part] = {}
        self._claimed = 0
        self._current = 0
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        for number in range(CONNECTIONS):
            threading.Thread(target=self._work, name=f"part-{number}", daemon=True).start()

    def have_begun(self) -> bool:
        """Wait until the first bytes of the first part are there; return False if they will not come."""
        with self._changed:
            while not self._closed:
                first = self._parts.get(0)
                if first is not None and (first.pieces or first.is_over):
                    return bool(first.pieces)
                self._changed.wait()
            return False

    def pieces(self) -> Generator[bytes, None, None]:
        """Yield what is at the start and after it.

        Raises:
            Exception: What fetching raised, where the bytes before are all read.
        """
        while piece := self._next():
            yield piece

    def close(self) -> None:
        """Let the threads go. They end when they next get something."""
        with self._changed:
            self._closed = True
            self._parts.clear()
            self._changed.notify_all()

    def _next(self) -> bytes:
        with self._changed:
            while self._current < self._count:
                part = self._parts.get(self._current)
                if part is not None and part.pieces:
                    return part.pieces.popleft()
                if part is not None and not part.left:
                    del self._parts[self._current]
                    self._current += 1
                    self._changed.notify_all()
                elif self._error is not None and (part is None or part.is_over):
                    raise self._error
                else:
                    self._changed.wait()
            return b""

    def _work(self) -> None:
        while (number := self._claim()) is not None:
            first = self.start + number * PART
            try:
                with self._fetch(first, min(first + PART, self._size)) as pieces:
                    for piece in pieces:
                        if not self._add(number, piece):
                            return
            except BaseException as error:  # noqa: BLE001 raised where the bytes are awaited
                self._end(number, error)
                return
            self._end(number, None)

    def _claim(self) -> int | None:
        with self._changed:
            while self._claimed - self._current >= CONNECTIONS and not self._closed and self._error is None:
                self._changed.wait()
            if self._closed or self._error is not None or self._claimed == self._count:
                return None
            number, self._claimed = self._claimed, self._claimed + 1
            first = self.start + number * PART
            self._parts[number] = _Part(left=min(PART, self._size - first))
            return number

    def _add(self, number: int, piece: bytes) -> bool:
        with self._changed:
            if self._closed:
                return False
            part = self._parts[number]
            part.pieces.append(piece)
            part.left -= len(piece)
            if number == self._current:  # nobody waits for another one
                self._changed.notify_all()
            return True

    def _end(self, number: int, error: BaseException | None) -> None:
        with self._changed:
            if number in self._parts:
                self._parts[number].is_over = True
            if self._error is None:
                self._error = error
            self._changed.notify_all()


@contextlib.contextmanager
def fetch(
    session: Session, digest: Digest, operation: str, start: int, stop: int
) -> Iterator[Iterator[bytes]]:
    """Open a part of a blob. It yields exactly the bytes asked for, or raises.

    Raises:
        RegistryError: It cannot be had, or something else came. Nothing is tried again.
    """
    headers = {"Range": f"bytes={start}-{stop - 1}"}
    call = Call("GET", f"blobs/{digest}", operation, frozenset({_OK, PARTIAL}), headers)
    with session.once(call) as answer:
        found = CONTENT_RANGE.fullmatch(answer.header("content-range"))
        context = session.context(operation)
        if answer.status != PARTIAL or not found or found.group(1, 2) != (str(start), str(stop - 1)):
            raise ProtocolError(context, f"asked for bytes {start} to {stop}, the registry sends others")
        yield _exactly(answer.stream(), stop - start, context)


def _exactly(pieces: Iterator[bytes], count: int, context: ErrorContext) -> Iterator[bytes]:
    for piece in pieces:
        count -= len(piece)
        if count < 0:
            raise ProtocolError(context, "the registry sends more bytes than it was asked for")
        yield piece
    if count:
        raise ConnectionFailedError(context, f"a part ended {count} bytes early")
