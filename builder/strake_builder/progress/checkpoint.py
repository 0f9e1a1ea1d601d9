"""Where loops over trees, archives and files ask whether the build was stopped.

A COPY of a million files, or of one huge file, can take minutes, and a pod that is deleted has half a minute.
Such loops are deep in code that knows nothing of builds, so they ask here: a process makes one build, and the
stop of that build is the process's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from strake_builder.errors import BuildError


class _Stop:
    reason: BuildError | None = None


_stop = _Stop()


def checkpoint() -> None:
    """Let a loop end here if the build was stopped; called for each entry, and each few MiB of content.

    Raises:
        BuildError: why it was stopped.
    """
    if _stop.reason is not None:
        raise _stop.reason


def stop_at_checkpoints(reason: BuildError) -> None:
    """End every loop at its next checkpoint, in all threads."""
    _stop.reason = reason


@contextlib.contextmanager
def checkpoints() -> Iterator[None]:
    """Hold the stop of one build: whatever stopped it stops nothing after the context."""
    try:
        yield
    finally:
        _stop.reason = None
