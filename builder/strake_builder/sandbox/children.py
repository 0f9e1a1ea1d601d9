"""The processes of steps that run at this moment: started with pipes for their output, and ended together."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from strake_builder.errors import InternalError
from strake_builder.sandbox.output_lines import OutputLines, pump

GRACE_SECONDS: Final = 3.0
"""A step without a handler ignores SIGTERM, being the first process of its namespace: most wait it out."""


class Child(Protocol):
    """A process that was started."""

    def wait(self, timeout: float | None = None) -> int:
        """As `subprocess.Popen.wait`."""
        ...

    def poll(self) -> int | None:
        """As `subprocess.Popen.poll`."""
        ...

    def kill(self) -> None:
        """As `subprocess.Popen.kill`."""
        ...


C = TypeVar("C", bound=Child)


@dataclass(frozen=True, slots=True, eq=False)
class Running(Generic[C]):
    """A process that runs.

    Attributes:
        name: what a runtime knows it by.
        child: the process.
    """

    name: str
    child: C


class Children(Generic[C]):
    """The processes that run. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Running[C]] = set()
        self._stopped = False

    def run(self, name: str, start: Callable[[int, int], C], lines: OutputLines) -> tuple[C, int]:
        """Start a process, pass its output on and wait for its end.

        Args:
            name: what a runtime knows it by.
            start: starts it with these descriptors as standard output and standard error.
            lines: gets the output.

        Returns:
            The process, and its exit status: 128 plus the signal's number where a signal ended it.

        Raises:
            InternalError: they were stopped before it began.
        """
        with contextlib.ExitStack() as readers:
            with contextlib.ExitStack() as writers:
                out, out_writer = _pipe(readers, writers)
                err, err_writer = _pipe(readers, writers)
                running = self._start(name, lambda: start(out_writer, err_writer))
            try:
                pump(out, err, lines)
                status = running.child.wait()
            except BaseException:
                running.child.kill()  # nobody reads what it prints any more
                running.child.wait()
                raise
            finally:
                with self._lock:
                    self._running.remove(running)
        return running.child, status if status >= 0 else 128 - status

    def _start(self, name: str, start: Callable[[], C]) -> Running[C]:
        with self._lock:
            if self._stopped:
                raise InternalError("the sandbox is stopped")
            running = Running(name, start())
            self._running.add(running)
            return running

    def stop(self, *orders: Callable[[Running[C]], object], grace: float) -> None:
        """Give every process that runs one order after the other until it has ended; no new one starts after.

        Args:
            orders: each asks a process to end, or ends it.
            grace: seconds in which the processes may end after each order.
        """
        with self._lock:
            self._stopped = True
            left = list(self._running)
        for order in orders:
            for each in left:
                order(each)
            deadline = time.monotonic() + grace
            for each in left:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    each.child.wait(max(0.0, deadline - time.monotonic()))
            left = [each for each in left if each.child.poll() is None]


def _pipe(readers: contextlib.ExitStack, writers: contextlib.ExitStack) -> tuple[int, int]:
    reader, writer = os.pipe()
    readers.callback(os.close, reader)
    writers.callback(os.close, writer)
    return reader, writer
