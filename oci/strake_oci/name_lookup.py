"""Looks names up, also while the files that tell the addresses of names are not this machine's own.

In a chroot a step's tree is at the root of the container that the builder runs in, and with it the step's
/etc/hosts and /etc/resolv.conf. Addresses from there would be those that an image chose: of the registry that
is pushed to, too. So what is asked for meanwhile is answered from what was found before, or waits.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Found: TypeAlias = list[tuple[Any, Any, int, str, Any]]
"""What `socket.getaddrinfo` returns."""


class NameLookup:
    """Looks names up. Thread-safe.

    Args:
        ask: Asks the system, as `socket.getaddrinfo` with the kind of a stream.
    """

    def __init__(self, ask: Callable[[str, int | None], Found] | None = None) -> None:
        self._ask = ask or _ask_system
        self._changed = threading.Condition()
        self._foreign = 0
        self._times = 0
        self._known: dict[tuple[str, int | None], Found] = {}

    def find(self, host: str, port: int | None = None) -> Found:
        """Return the addresses of a host; while the files are somebody else's, those of before, or wait.

        Raises:
            OSError: There is none.
            UnicodeError: It is no name.
        """
        while True:
            with self._changed:
                if self._foreign and (host, port) in self._known:
                    return self._known[host, port]
                self._changed.wait_for(lambda: not self._foreign)
                times = self._times
            try:
                found, failure = self._ask(host, port), None
            except (OSError, UnicodeError) as error:
                found, failure = [], error
            with self._changed:
                if times != self._times:
                    continue  # the files changed meanwhile: whose they were when they were read nobody knows
                if failure is not None:
                    raise failure
                self._known[host, port] = found
                return found

    @property
    def waits(self) -> bool:
        """Whether a name that was not looked up before has to wait: no fault of a server's."""
        return self._foreign > 0

    @contextlib.contextmanager
    def foreign_files(self) -> Iterator[None]:
        """Have the files of somebody else in place of the system's for the time of the context."""
        with self._changed:
            self._foreign += 1
            self._times += 1
        try:
            yield
        finally:
            with self._changed:
                self._foreign -= 1
                self._changed.notify_all()


def _ask_system(host: str, port: int | None) -> Found:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


NAMES: Final = NameLookup()
"""Of this process, whose files they are."""
