"""The results of a build without a cache: nothing is found, and nothing is kept."""

from __future__ import annotations

import threading

from strake_builder.layers.blobs import StoredLayer
from strake_builder.solve.caching.selection import select_all
from strake_builder.solve.planning.evaluation import EvaluatedBuild


class NoStepResults:
    """`StepResults` where there is no cache. Thread-safe.

    Args:
        build: the build.
    """

    def __init__(self, build: EvaluatedBuild) -> None:
        self.selection = select_all(build)
        self.run = 0
        self.used: tuple[StoredLayer, ...] = ()
        self._lock = threading.Lock()

    def definition_key(self, *_: object) -> None:
        """Return None: no step has a key."""

    def by_content(self, *_: object) -> None:
        """Return None: no result is found."""

    def keep(self, *_: object) -> None:
        """Count the step, and keep nothing."""
        self.count()

    def count(self) -> None:
        """Count a step that was executed and whose result is not kept."""
        with self._lock:
            self.run += 1

    def finish(self) -> None:
        """Return at once."""
