"""How long a thread may wait for the network once that is cancelled: not at all, but for a few last words.

A registry may be silent for minutes and be right; a build that was cancelled has no minutes. Closing a
connection under a thread that waits for it does not wake that thread, and its descriptor may be another
file's before the thread looks again. So each waiting thread registers a function that ends the wait.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Final

import httpcore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from strake_oci.cancellation import Cancellation

LAST_WORDS: Final = 0.5
"""Seconds after a cancellation in which an upload may still be cancelled at its registry."""

STOPPED: Final = "stopped"

SHORT_WORDS: Final = 1.0
"""Seconds that this may take where nothing was cancelled."""


class _ThisThread(threading.local):
    until: float | None = None
    """When this thread is to be done with its last words; None if it has none to say."""


_this_thread: Final = _ThisThread()


@contextlib.contextmanager
def last_words() -> Iterator[None]:
    """Let this thread send something short that nobody should have to wait for, cancelled or not."""
    _this_thread.until = time.monotonic() + SHORT_WORDS
    try:
        yield
    finally:
        _this_thread.until = None


def allowed_seconds(cancellation: Cancellation, wanted: float | None) -> float | None:
    """Return how long this thread may wait now: as it wants, less, or (zero or negative) not at all."""
    cancelled, until = cancellation.moment, _this_thread.until
    if cancelled is None and until is None:
        return wanted
    if until is None:
        return 0.0
    left = (until if cancelled is None else min(until, cancelled + LAST_WORDS)) - time.monotonic()
    return left if wanted is None else min(wanted, left)


def allowed_or_stopped(cancellation: Cancellation, wanted: float | None) -> float | None:
    """Return what `allowed_seconds` does.

    Raises:
        httpcore.NetworkError: This thread may not wait at all.
    """
    seconds = allowed_seconds(cancellation, wanted)
    if seconds is not None and seconds <= 0:
        raise httpcore.NetworkError(STOPPED)
    return seconds


def end_wait_on_cancel(cancellation: Cancellation, end: Callable[[], object]) -> Callable[[], None]:
    """Have a wait ended by a cancellation; one that was before leaves this thread its last words.

    Returns:
        As `Cancellation.on_cancel`.
    """
    return cancellation.on_cancel(lambda _: end() if _this_thread.until is None else None)


class Line:
    """A connection, plain or TLS, as another thread sees that wants to end it."""

    def __init__(self, sock: socket.socket, cancellation: Cancellation) -> None:
        # A descriptor of its own: TLS takes the first one over, and it is closed without asking.
        self._socket = sock.dup()
        self._cancellation = cancellation
        self._take_back = end_wait_on_cancel(cancellation, self.cut)

    def seconds(self, wanted: float | None) -> float | None:
        """Return how long this thread may wait.

        Raises:
            httpcore.NetworkError: Not at all.
        """
        return allowed_or_stopped(self._cancellation, wanted)

    def cut(self) -> None:
        """End the connection; a thread that waits for it comes back at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of it: a cancellation ends nothing here any more."""
        self._take_back()
        self._socket.close()
