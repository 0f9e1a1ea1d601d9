"""Ends what a step left running, where no PID namespace does it.

A process that adopts orphans (`syscalls.adopt_orphans`) becomes the parent of whatever its descendants leave
behind, however they tried to get away, so that all of a step is among its descendants. Some may go on forking
while others are killed, faster than anybody finds them. So all are stopped before the first is killed: who is
stopped makes no more, and keeps its place among the processes that the container may have.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict

_Process = tuple[int, bytes]
"""A process ID, and when it started: an ID alone is soon another process's."""


def end_children() -> None:
    """Kill every descendant of this process, and what becomes one meanwhile, and wait for all of them."""
    while True:
        kill_descendants(os.getpid())
        try:
            os.waitpid(-1, 0)
            # Looking for descendants takes milliseconds for each thousand: not once for each that ended.
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def kill_descendants(ancestor: int) -> None:
    """Kill the descendants of a process, in this moment and until no other is found."""
    stopped: set[_Process] = set()
    while new := _descendants(ancestor) - stopped:
        _signal(new, signal.SIGSTOP)
        stopped |= new
    _signal(_descendants(ancestor), signal.SIGKILL)


def kill_group(leader: int) -> None:
    """Kill the processes of a group, at once; where none is left, nothing."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _signal(processes: set[_Process], number: signal.Signals) -> None:
    for process, _ in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _descendants(ancestor: int) -> set[_Process]:
    children: defaultdict[int, set[_Process]] = defaultdict(set)
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The program's name, in brackets, may have spaces and brackets in it: fields count after it.
                fields = file.read().rpartition(b")")[2].split()
                children[int(fields[1])].add((int(name), fields[19]))
    found: set[_Process] = set()
    open_ends = [ancestor]
    while open_ends:
        next_ones = children.pop(open_ends.pop(), set())
        found |= next_ones
        open_ends += [process for process, _ in next_ones]
    return found
