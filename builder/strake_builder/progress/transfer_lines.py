"""What a person reads of blobs on their way.

Apart from the events, which cost a command that only copies a tenth of its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_INTERVAL: Final = 1.0
_UNIT: Final = 1000.0


class TransferLines:
    """Makes lines of text; an empty one where there is nothing new to a person. Not thread-safe.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_fetch: dict[str, float] = {}
        self._last_pull: dict[str, float] = {}
        self._last_push: dict[tuple[str, str | None], float] = {}

    def fetching(self, source: str, done: int, total: int | None) -> str:
        """So many bytes of a context are here: a line a second, and one at the end."""
        now = self._clock()
        if total is not None and done >= total:
            self._last_fetch.pop(source, None)  # the same may be fetched again
            return f"   {source}: fetched {size_text(total)}"
        if now - self._last_fetch.setdefault(source, now) < _INTERVAL:
            return ""
        self._last_fetch[source] = now
        amount = size_text(done) + (f" of {size_text(total)}" if total is not None else "")
        return f"   {source}: fetching, {amount}"

    def pulled(self, image: str, done: int, total: int) -> str:
        """So many bytes of a base image are here: a line a second, and one at the end."""
        now = self._clock()
        is_all = done >= total
        if not is_all and now - self._last_pull.get(image, 0.0) < _INTERVAL:
            return ""
        self._last_pull[image] = now
        amount = size_text(total) if is_all else f"{size_text(done)} of {size_text(total)}"
        return f"   {image}: pulled {amount}"

    def pushing(self, repository: str, digest: str | None, done: int, total: int | None) -> str:
        """So many bytes of a blob went to a repository; without digest and total it is still being made."""
        now, blob = self._clock(), (repository, digest)
        # What takes less than a second is reported by its end alone.
        if now - self._last_push.setdefault(blob, now) < _INTERVAL:
            return ""
        self._last_push[blob] = now
        where = f"{repository}@{digest[:19]}…" if digest else repository
        amount = size_text(done) + (f" of {size_text(total)}" if total is not None else "")
        return f"   {where}: pushing, {amount}"

    def pushed(self, repository: str, digest: str, size: int, *, transferred: bool) -> str:
        """A blob is at its destination."""
        how = "pushed" if transferred else "already there"
        return f"   {repository}@{digest[:19]}… {how} ({size_text(size)})"

    def signed(self, repository: str, digest: str) -> str:
        """An image is signed in a repository."""
        return f"   {repository}@{digest[:19]}… signed"


def mount_name(target: str) -> str:
    """Return what transfers of a cache mount are called."""
    return f"cache mount {target}"


def mount_line(action: str, target: str, size: int, files: int, transferred: int) -> str:
    """Return the line for a cache mount that was restored or kept; sizes in bytes."""
    moved = "pulled" if action == "restored" else "pushed"
    count = "1 file" if files == 1 else f"{files:,} files"
    return f"   {mount_name(target)} {action}: {size_text(size)} in {count}, {size_text(transferred)} {moved}"


def size_text(count: int) -> str:
    """Return a number of bytes as people read it."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < _UNIT:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _UNIT
    return f"{value:.2f} GB"
