"""A unix socket whose connections are handed on to another one.

Addresses of sockets have 107 characters at most, and paths of a work directory may have more: so a socket is
named by a descriptor of its directory (unix(7), proc(5)).
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Final

_PIECE: Final = 1 << 16
_MOST_CONNECTIONS: Final = 16


@contextlib.contextmanager
def connected(path: str) -> Iterator[socket.socket]:
    """Yield a connection to a socket.

    Raises:
        OSError: nobody listens there.
    """
    with _address(path) as address, socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        yield connection


@contextlib.contextmanager
def forwarded(path: str, goal: str, owner: tuple[int, int], mode: int) -> Iterator[None]:
    """Have a socket whose connections lead to another one, for the time of the context.

    Args:
        path: where nothing is yet.
        goal: the other socket.
        owner: user and group of the new one.
        mode: its permission bits.

    Raises:
        OSError: it cannot be made.
    """
    with socket.socket(socket.AF_UNIX) as listening, contextlib.ExitStack() as scope:
        with _address(path) as address:
            listening.bind(address)
        scope.callback(os.unlink, path)
        os.chmod(path, mode)
        os.chown(path, *owner, follow_symlinks=False)
        listening.listen(_MOST_CONNECTIONS)
        open_ones = _Connections()
        scope.callback(open_ones.close)
        thread = threading.Thread(target=_accept, args=(listening, goal, open_ones), daemon=True)
        thread.start()
        # Closing a socket wakes nobody who waits for it; ending it does.
        scope.callback(thread.join)
        scope.callback(listening.shutdown, socket.SHUT_RDWR)
        yield


class _Connections:
    """What is open: both ends of each connection."""

    def __init__(self) -> None:
        self._slots = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._sockets: set[socket.socket] = set()
        self._guard = threading.Lock()

    def serve(self, peer: socket.socket, goal: str) -> None:
        """Hand on what a connection brings until one of the ends is closed."""
        with self._slots, peer, contextlib.suppress(OSError), connected(goal) as agent:
            with self._guard:
                self._sockets |= {peer, agent}
            try:
                back = threading.Thread(target=_pump, args=(agent, peer), daemon=True)
                back.start()
                _pump(peer, agent)
                back.join()
            finally:
                with self._guard:
                    self._sockets -= {peer, agent}

    def close(self) -> None:
        """End all of them."""
        with self._guard:
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, goal: str, connections: _Connections) -> None:
    while True:
        try:
            peer, _ = listening.accept()
        except OSError:
            return  # it was ended
        threading.Thread(target=connections.serve, args=(peer, goal), daemon=True).start()


def _pump(source: socket.socket, goal: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            goal.sendall(data)
    with contextlib.suppress(OSError):
        goal.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _address(path: str) -> Iterator[str]:
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)
