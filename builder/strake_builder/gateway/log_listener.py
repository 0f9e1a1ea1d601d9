"""The gateway's end of the builder's log: one connection, the first, made before any step."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from datetime import UTC, datetime
from typing import Final

from strake_builder.gateway.kept_log import KeptLog

_PIECE: Final = 124 * 1024
_LAST_WORDS: Final = 2.0
"""Seconds."""


class LogListener:
    """Reads what the builder writes, until it ends.

    A step in a chroot can see the socket. It comes too late: nobody but the first is read.

    Args:
        path: of the socket, in a directory that is the pod's own.

    Attributes:
        ended: set when the builder's end of the connection is closed, however it ended.
        log: what it wrote.
        started: when it connected.
    """

    def __init__(self, path: str) -> None:
        self.ended = threading.Event()
        self.log = KeptLog()
        self.started: datetime | None = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        os.chmod(path, 0o666)
        self._server.listen(1)
        threading.Thread(target=self._read, name="log", daemon=True).start()

    def finish(self) -> None:
        """Wait for no more than what is on its way: the pod ends."""
        if self.started is not None or self._is_called():
            self.ended.wait(_LAST_WORDS)  # a process that outlives the builder may have the socket open
        self.ended.set()

    def _is_called(self) -> bool:
        """Return whether the builder has connected, and is not accepted yet."""
        try:
            return bool(select.select([self._server], [], [], 0)[0])
        except (OSError, ValueError):
            return True  # it is closed: the builder was accepted in this moment

    def _read(self) -> None:
        try:
            connection, _ = self._server.accept()
            self.started = datetime.now(UTC)
            self._server.close()
            with connection:
                while data := connection.recv(_PIECE):
                    self.log.add(data)
        except OSError:
            pass  # what came before is the log
        finally:
            self.ended.set()
