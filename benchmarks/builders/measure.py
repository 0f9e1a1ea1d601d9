"""What one build costs: seconds, processor, memory, bytes moved.

**Memory** is the largest sum of the proportional set sizes (PSS: what several processes share is counted
once) of the builder's own processes, read from /proc every 25 ms. A process is the builder's own when it
descends from its command or its daemon and runs one of the builder's own programs, compared by device and
inode: what a step runs comes from another file, whatever it is called, and is left out; so is the OCI
runtime. PSS has the program's own pages in it. A process that is about to execute a program has its parent's
memory until then (vfork), of which the kernel tells each the whole: it counts once.

**CPU** is that of the command and all that it started, steps too, and of the daemon from the command's start
to its end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.builders.registry import CountedRegistry, Moved

_PERIOD: Final = 0.025
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LOG_SHOWN: Final = 2000
_LONGEST: Final = 1800
_KCMP: Final = {"x86_64": 312, "aarch64": 272}[platform.machine()]
_KCMP_VM: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class BuildFailedError(Exception):
    """A builder ended with another status than zero; the message has the end of its output."""


@dataclass(frozen=True)
class Cost:
    """What a build took.

    Attributes:
        seconds: wall clock.
        cpu: processor seconds, the steps' included.
        memory: peak of the builder's own memory, in bytes.
        moved: to and from the registry.
    """

    seconds: float
    cpu: float
    memory: int
    moved: Moved


def measure(
    command: Sequence[str], *, programs: Iterable[str], daemons: Sequence[int], registry: CountedRegistry
) -> Cost:
    """Run a build to its end.

    Args:
        command: the build.
        programs: paths of the builder's own programs.
        daemons: process ids that work for it.
        registry: counts what is moved.

    Raises:
        BuildFailed: with the end of what the command printed.
    """
    used, moved = _used(daemons), registry.moved()
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HOME": "/nonexistent"},
    )
    with MemoryPeak([process.pid, *daemons], programs) as memory:
        try:
            output, _ = process.communicate(timeout=_LONGEST)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        seconds = time.monotonic() - started
    cost = Cost(seconds, _used(daemons) - used, memory.peak, registry.moved().since(moved))
    if process.returncode:
        raise BuildFailedError(output.decode(errors="replace")[-_LOG_SHOWN:])
    return cost


def _used(daemons: Sequence[int]) -> float:
    """Return the processor seconds that ended children of ours, and daemons with theirs, have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = children.ru_utime + children.ru_stime
    for pid in daemons:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used += sum(map(int, fields[11:15])) / _TICKS  # utime, stime, cutime, cstime: proc(5)
    return used


class MemoryPeak:
    """Watches the memory of processes and their descendants, in a thread, for as long as the context is open.

    Args:
        roots: process ids to begin at.
        programs: paths of the programs whose processes count.

    Attributes:
        peak: the largest sum seen, in bytes.
    """

    def __init__(self, roots: Iterable[int], programs: Iterable[str]) -> None:
        self._roots = tuple(roots)
        self._programs = {_identity(program) for program in programs}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self.peak = 0

    def _watch(self) -> None:
        while not self._done.wait(_PERIOD):
            sizes: dict[int, int] = {}
            for pid in _descendants(self._roots):
                # Asked before its size is: when it executes the program meanwhile, it is another's process.
                if not any(_share_memory(pid, other) for other in sizes) and (size := self._size(pid)):
                    sizes[pid] = size
            self.peak = max(self.peak, sum(sizes.values()))

    def _size(self, pid: int) -> int:
        with contextlib.suppress(OSError):
            if _identity(f"/proc/{pid}/exe") in self._programs:
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        return int(line.split()[1]) * 1024
        return 0

    def __enter__(self) -> MemoryPeak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def _share_memory(one: int, other: int) -> bool:
    """Return whether two processes have the same memory, and not copies of it."""
    return bool(_LIBC.syscall(_KCMP, one, other, _KCMP_VM, 0, 0) == 0)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _descendants(roots: Iterable[int]) -> Iterator[int]:
    """Yield processes and all below them; those that end meanwhile are left out."""
    pending = list(roots)
    while pending:
        pid = pending.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(OSError):
                    pending += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
