"""A component of the running cluster, as a process of this machine: for tests that stop or kill one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tests.cluster.processes import commands


def component(name: str) -> list[int]:
    """Return the process ID of a component; nothing where it does not run.

    Args:
        name: One of `tests.cluster.processes.commands`.
    """
    wanted = b"\0".join(map(os.fsencode, commands()[name])) + b"\0"
    found = []
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if each.name.isdecimal() and (each / "cmdline").read_bytes() == wanted:
                found.append(int(each.name))
    return found
