"""Connections that are used again though httpcore has given them up.

A long body is read past httpcore (`bodies`), which then cannot know that the body is over, and closes the
connection. Here it is kept instead, and the next one that httpcore wants to the same server is this one: with
a blob in parts of some MiB, a connection and a handshake for each part would cost more than was saved.
"""

from __future__ import annotations

import ssl
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from strake_oci.http.network import LimitedStream

IDLE_SECONDS: Final = 30.0
"""After which an idle connection is not used again: servers close theirs some time later."""
_MOST: Final = 32
"""Connections that are kept; of more the oldest are closed."""

Server = tuple[str, int]
"""Host and port, or a socket's path and 0."""


class KeptConnections:
    """Idle connections of one pool, so with the same TLS and the same denied networks. Thread-safe.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Server, LimitedStream]] = []
        self._is_closed = False

    def give(self, server: Server, stream: LimitedStream) -> None:
        """Keep a connection on which nothing is under way, or close it where no more are kept."""
        with self._lock:
            self._idle.append((self._clock(), server, stream))
            most = 0 if self._is_closed else _MOST
            spare, self._idle = self._idle[: len(self._idle) - most], self._idle[len(self._idle) - most :]
        _close(spare)

    def take(self, server: Server) -> LimitedStream | None:
        """Return a connection to a server, the one that was used last; None without one that is any good."""
        while True:
            with self._lock:
                since = self._clock() - IDLE_SECONDS
                old = [each for each in self._idle if each[0] < since]
                idle = [each for each in self._idle if each[0] >= since]
                found = next((each for each in reversed(idle) if each[1] == server), None)
                self._idle = [each for each in idle if each is not found]
            _close(old)
            if found is None or _is_silent(found[2]):
                return found[2] if found else None
            _close([found])

    def close(self) -> None:
        """Close those that are idle, and whatever is given from now on."""
        with self._lock:
            idle, self._idle, self._is_closed = self._idle, [], True
        _close(idle)


def _is_silent(stream: LimitedStream) -> bool:
    """Return whether a server has neither closed a connection nor sent what nobody asked for.

    Its next bytes would be taken for the answer to the next request.
    """
    if isinstance(stream.raw_socket, ssl.SSLSocket) and stream.raw_socket.pending():
        return False
    return not stream.get_extra_info("is_readable")


def _close(idle: list[tuple[float, Server, LimitedStream]]) -> None:
    for _since, _server, stream in idle:
        stream.close()
