"""Reads the logs of running builders and keeps what they say of their progress.

Best effort: a log that breaks off costs nothing but the progress shown, since the result travels in
the termination message. A log is read from its start, so a restarted operator knows as much as before; read
again, what was read before is passed over by the times of its lines.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import TYPE_CHECKING

from strake_api.logs.lines import is_output, parse_log_line
from strake_operator.errors import ClusterError, NotFoundError
from strake_operator.handlers.pace import Pace
from strake_operator.reconcile.progress import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 30.0
LINES_PER_SECOND = 100_000
"""What is read of all logs together, some tenth of a processor: a step may write without an end."""
MOST_LOGS = 200
"""Logs that are read at a time: each is a connection with its buffers. Builds beyond show no steps."""
TURN = 1000
"""Lines that a log brings in one turn."""


class Follower:
    """The logs being read.

    Args:
        lines: Yields the lines of a pod's log, given its namespace and name; each begins with its time in
            RFC 3339 and a space.
        most: How many logs are read at a time.
    """

    def __init__(self, lines: Callable[[str, str], AsyncIterator[bytes]], *, most: int = MOST_LOGS) -> None:
        self._lines = lines
        self._turn = asyncio.Semaphore(most)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._progress: dict[tuple[str, str], Progress] = {}
        self._shown: dict[tuple[str, str], tuple[float, Progress]] = {}
        self._last: dict[tuple[str, str], datetime] = {}
        self._pace = Pace(LINES_PER_SECOND)

    def progress(self, namespace: str, pod: str) -> Progress | None:
        """Return the progress that a pod's log tells so far."""
        return self._progress.get((namespace, pod))

    def shown(self, namespace: str, pod: str, pause: float) -> tuple[Progress | None, float | None]:
        """Return the progress of a pod to show, and in how many seconds there is more; None for no more.

        Args:
            namespace: The pod's.
            pod: Its name.
            pause: Seconds for which what was shown stays: who looks meanwhile sees no news.
        """
        key, now = (namespace, pod), asyncio.get_running_loop().time()
        latest = self._progress.get(key)
        since, shown = self._shown.get(key, (float("-inf"), None))
        if shown == latest:
            return shown, None
        if now < since + pause:
            return shown, since + pause - now
        if latest is not None:
            self._shown[key] = now, latest
        return latest, None

    def follow(self, namespace: str, pod: str, changed: Callable[[], None]) -> None:
        """Read a pod's log until it ends, unless it is being read; call `changed` when there is progress."""
        key = (namespace, pod)
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._read(key, changed), name=f"log-{pod}")

    def forget(self, namespace: str, pod: str) -> None:
        """Drop what is known of a pod that ended."""
        self._progress.pop((namespace, pod), None)
        self._last.pop((namespace, pod), None)
        self._shown.pop((namespace, pod), None)
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
        """Read a log again and again until it is forgotten: connections end, by time limits of others too."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._turn:
                    is_news = await self._read_once(key, changed)
                if is_news:
                    pause = FIRST_PAUSE_SECONDS
            except NotFoundError:
                self._tasks.pop(key, None)
                return
            except ClusterError as error:
                logger.debug("%s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    async def _read_once(self, key: tuple[str, str], changed: Callable[[], None]) -> bool:
        """Read a log from its start; return whether it had anything new."""
        new, count = False, 0
        known = self._last.get(key)
        async for line in self._lines(*key):
            count += 1
            if count % TURN == 0:
                await self._pace.take(TURN)
            stamp, _, text = line.partition(b" ")
            if is_output(text):
                continue
            time = _moment(stamp)
            # Lines of one connection may share a time: container runtimes stamp what they read at once.
            if time is None or (known is not None and time <= known):
                continue
            self._last[key], new = time, True
            event = parse_log_line(time, text.decode(errors="replace"))
            before = self._progress.get(key)
            if event is not None and (progress := (before or Progress()).after(event)) != before:
                self._progress[key] = progress
                changed()
        return new


def _moment(stamp: bytes) -> datetime | None:
    try:
        moment = datetime.fromisoformat(stamp.decode("ascii"))
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
