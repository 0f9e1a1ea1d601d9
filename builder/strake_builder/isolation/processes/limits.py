"""How many processes a step may have: a fork bomb must end, and a container may have a lower limit."""

from __future__ import annotations

import resource

from strake_builder.sandbox.spec import MAX_PROCESSES


def process_limit() -> int:
    """Return the limit of processes (RLIMIT_NPROC) that a step gets, which no process may raise."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    return MAX_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, MAX_PROCESSES)
