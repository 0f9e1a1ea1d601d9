"""Ends what a step left running, where no PID namespace does it.

A process that adopts orphans (`syscalls.adopt_orphans`) becomes the parent of whatever its descendants leave
behind, however they tried to get away: kill the children, and theirs are children, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


def end_children() -> None:
    """Kill every child of this process, and what becomes its child meanwhile, and wait for all of them."""
    while True:
        kill_children(os.getpid())
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def kill_children(parent: int) -> None:
    """Kill every process that is now the child of another."""
    for child in _children(parent):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _children(parent: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The program's name, in brackets, may have spaces and brackets in it.
                if int(file.read().rpartition(b")")[2].split()[1]) == parent:
                    yield int(name)
