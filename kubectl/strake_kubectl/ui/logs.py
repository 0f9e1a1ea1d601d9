"""Logs of runs, as lines: read when a page asks, or, of a run that goes on, followed in a thread.

Whatever a log's length, a bounded number of its last lines is kept, and all of its steps' times.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from strake_builder.errors import BuildError
from strake_kubectl.builds import Build
from strake_kubectl.cluster import Cluster
from strake_kubectl.errors import CommandError
from strake_kubectl.following import follow, print_log
from strake_kubectl.ui.colours import Piece, pieces, plain
from strake_kubectl.ui.timeline import Section, Timeline

MOST_LINES: Final = 5000
"""Lines of a log that are kept and shown."""
_LONGEST: Final = 16 * 1024
"""Characters of a line: a longer one is cut in two."""
_MOST_FOLLOWED: Final = 8
"""Logs that are followed at the same time, each by a thread and a connection."""

Line = tuple[int, tuple[Piece, ...]]
"""Its number in the log, from 1, and its text in pieces of one style each."""
Kept = Callable[[str], Iterable[str]]
"""Reads a log that a registry keeps, by `repository@digest`, as it is."""


@dataclass(frozen=True, slots=True)
class LogView:
    """What a page shows of a log.

    Attributes:
        lines: The last ones, of those that have the searched words.
        total: How many lines the log has so far.
        sections: Of the run, with the times of their steps.
        is_live: Whether more may come.
        trouble: Why there is no more; empty where nothing is wrong.
    """

    lines: tuple[Line, ...]
    total: int
    sections: tuple[Section, ...]
    is_live: bool
    trouble: str


class Collected:
    """Takes a log's text as it comes; may be read by other threads meanwhile.

    Args:
        search: Lines without it are counted and not kept; small and capital letters are the same.
    """

    def __init__(self, search: str = "") -> None:
        self._search = search.casefold()
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=MOST_LINES)
        self._timeline = Timeline()
        self._total = 0
        self._open = ""
        self._ended = False
        self._trouble = ""

    def write(self, text: str) -> None:
        """Take more of the text."""
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            for line in lines:
                self._add(line)
            while len(self._open) > _LONGEST:
                self._add(self._open[:_LONGEST])
                self._open = self._open[_LONGEST:]

    def end(self, trouble: str = "") -> None:
        """Take no more, for a reason if something went wrong."""
        with self._lock:
            if self._open:
                self._add(self._open)
            self._open, self._ended, self._trouble = "", True, trouble

    def _add(self, line: str) -> None:
        self._total += 1
        found = pieces(line)
        text = plain(found)
        self._timeline.add(text)
        if not self._search or self._search in text.casefold():
            self._lines.append((self._total, found))

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes."""
        with self._lock:
            return self._ended

    def view(self, *, after: int = 0, search: str = "") -> LogView:
        """Return the lines with higher numbers than `after` that have the searched words."""
        words = search.casefold()
        with self._lock:
            lines = tuple(
                each
                for each in self._lines
                if each[0] > after and (not words or words in plain(each[1]).casefold())
            )
            return LogView(lines, self._total, self._timeline.sections, not self._ended, self._trouble)


class Logs:
    """Reads logs.

    Args:
        cluster: Has the pods.
        kept: Reads those whose pods are gone.
    """

    def __init__(self, cluster: Cluster, kept: Kept) -> None:
        self._cluster = cluster
        self._kept = kept
        self._lock = threading.Lock()
        self._followed: dict[tuple[str, int], Collected] = {}

    def read(self, build: Build, run: int, search: str = "") -> LogView:
        """Return the log of a run, as far as it is. What is wrong with it is told in the view."""
        if run == build.run and not build.is_finished:
            return self.follow(build).view(search=search)
        return self.snapshot(build, run, search)

    def snapshot(self, build: Build, run: int, search: str = "") -> LogView:
        """Return the log of a run as it is now, and follow nothing."""
        collected = Collected(search)
        try:
            print_log(
                self._cluster.within(build.namespace), build, run, self._kept, collected.write, raw=True
            )
        except (CommandError, BuildError) as error:
            collected.end(_sentence(error))
        else:
            collected.end()
        return collected.view()

    def followed(self, build: Build, run: int) -> Collected | None:
        """Return the log of a run that is followed, or was until now."""
        with self._lock:
            return self._followed.get((build.uid, run))

    def follow(self, build: Build) -> Collected:
        """Return the log of the run that goes on, which grows. A second reader gets the same one."""
        key = (build.uid, build.run)
        with self._lock:
            found = self._followed.get(key)
            if found is not None and not found.has_ended:
                return found
            for other in [each for each, log in self._followed.items() if log.has_ended]:
                del self._followed[other]
            collected = Collected()
            if len(self._followed) >= _MOST_FOLLOWED:
                collected.end(
                    f"{_MOST_FOLLOWED} logs are followed already: see this one when another has ended"
                )
                return collected
            self._followed[key] = collected
        arguments = (self._cluster.within(build.namespace), build.name, collected)
        threading.Thread(target=_follow, args=arguments, name="log", daemon=True).start()
        return collected


def _follow(cluster: Cluster, name: str, collected: Collected) -> None:
    try:
        follow(cluster, name, collected.write, raw=True)
    except (CommandError, BuildError) as error:
        collected.end(_sentence(error))
    except BaseException:
        collected.end("the log could not be followed: reload the page")
        raise
    else:
        collected.end()


def _sentence(error: CommandError | BuildError) -> str:
    return f"{error.message}. Try: {error.hint}" if error.hint else error.message
