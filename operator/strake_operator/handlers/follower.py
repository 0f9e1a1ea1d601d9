"""Reads the logs of running builders and keeps what they say of their progress.

Best effort: a log that breaks off costs nothing but the progress shown, since the result travels in
the termination message. A log is read from its start, so a restarted operator knows as much as before.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from strake_api.events import parse_event
from strake_operator.errors import ClusterError
from strake_operator.reconcile.progress import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger(__name__)


class Follower:
    """The logs being read.

    Args:
        lines: Yields the lines of a pod's log, given its namespace and name.
    """

    def __init__(self, lines: Callable[[str, str], AsyncIterator[bytes]]) -> None:
        self._lines = lines
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._progress: dict[tuple[str, str], Progress] = {}

    def progress(self, namespace: str, pod: str) -> Progress | None:
        """Return what a pod's log has said so far."""
        return self._progress.get((namespace, pod))

    def follow(self, namespace: str, pod: str, changed: Callable[[], None]) -> None:
        """Read a pod's log until it ends, unless it is being read; call `changed` when there is progress."""
        key = (namespace, pod)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._read(key, changed), name=f"log-{pod}")

    def forget(self, namespace: str, pod: str) -> None:
        """Drop what is known of a pod that ended."""
        self._progress.pop((namespace, pod), None)
        task = self._tasks.pop((namespace, pod), None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop reading."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, key: tuple[str, str], changed: Callable[[], None]) -> None:
        progress = Progress()
        try:
            async for line in self._lines(*key):
                event = parse_event(line)
                if event is None:
                    continue
                after = progress.after(event)
                if after != progress:
                    progress = self._progress[key] = after
                    changed()
        except ClusterError as error:
            logger.debug("%s", error)
            # The next look starts again, if the pod still runs.
            self._tasks.pop(key, None)
