"""A stream whose text goes to a unix socket, too: the log of a builder pod on its way to the gateway."""

from __future__ import annotations

import contextlib
import io
import socket
import time
from typing import Final, TextIO

_PATIENCE: Final = 15.0
"""Seconds for the gateway, which starts beside the builder."""
_BETWEEN: Final = 0.05
_STALLED: Final = 5.0
"""Seconds that a write waits once: a gateway that stands still must not keep the build from going on."""


class CopiedStream(io.TextIOBase):
    """Writes to a stream, and a copy to a socket for as long as somebody reads there.

    A copy that fails is no failure of the build: the gateway tells that the log is not whole.

    Args:
        stream: where text goes in any case.
        path: of the socket.
    """

    def __init__(self, stream: TextIO, path: str) -> None:
        self._stream = stream
        self._socket = _connected(path)

    def write(self, text: str, /) -> int:
        """Write a text to both."""
        # The copy first: where the process is killed between, what people saw is in the log that is kept.
        if self._socket is not None:
            try:
                self._socket.sendall(text.encode(errors="replace"))
            except OSError:
                self.finish()
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream; the socket keeps nothing back."""
        self._stream.flush()

    def finish(self) -> None:
        """End the copy."""
        taken, self._socket = self._socket, None
        if taken is not None:
            with contextlib.suppress(OSError):
                taken.shutdown(socket.SHUT_WR)  # a child may have the socket open yet
            taken.close()


def _connected(path: str) -> socket.socket | None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = socket.socket(socket.AF_UNIX)
        found.settimeout(_STALLED)
        try:
            found.connect(path)
        except OSError:
            found.close()
            time.sleep(_BETWEEN)  # it is about to start: nothing tells when
        else:
            return found
    return None
