"""The cached results of a build's steps: what lookups found, and what is kept for the next build."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future
from datetime import datetime

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.errors import BuildError
from strake_builder.frontend.model.planned import StagePlan
from strake_builder.layers.blobs import StoredLayer
from strake_builder.solve.caching.keys import StepKeys
from strake_builder.solve.caching.lookup import CacheUse
from strake_builder.solve.caching.selection import select
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.spec.digest import DiffID, Digest


class CachedStepResults:
    """`StepResults` where there is a cache. Thread-safe.

    Args:
        build: the build.
        keys: makes keys.
        use: the caches and what may be read from them.
        distrusted: digests of layers that turned out broken; no result with one of them is used.
        pool: where results are kept, while the build goes on.

    Attributes:
        selection: the steps that need not execute, as far as that is known before any does.
        run: steps that were executed so far.
    """

    def __init__(
        self,
        build: EvaluatedBuild,
        keys: StepKeys,
        use: CacheUse,
        distrusted: frozenset[Digest],
        pool: Executor,
    ) -> None:
        self._keys = keys
        self._use = use
        self._distrusted = distrusted
        self._pool = pool
        self._keeping: list[Future[None]] = []
        self._lock = threading.Lock()
        self.run = 0
        self._definitions = keys.by_definition()
        found = use.lookup_all(self._wanted(), distrusted)
        self.selection = select(build, self._definitions, found)
        self._used = [
            hit.layer for hits in self.selection.hits.values() for hit in hits if hit.layer is not None
        ]

    def definition_key(self, stage: int, position: int) -> Key | None:
        """Return the definition key of a step; see `StepResults`."""
        return self._definitions[stage].steps[position]

    def by_content(
        self, stage: StagePlan, step: FileStep, lowers: tuple[ImageLayer, ...]
    ) -> CachedStep | None:
        """Look for the result of a step by content; see `StepResults`.

        Raises:
            BuildError: a lower layer cannot be written.
        """
        if not self._use.reads_for(stage.index):
            return None
        occurrence = self._keys.occurrence(stage, step)
        if occurrence is None or self._find(occurrence) is None:
            return None
        key = self._keys.by_content(stage, step, diff_ids(lowers))
        found = self._find(key) if key is not None else None
        if found is not None and found.layer is not None:
            with self._lock:
                self._used.append(found.layer)
        return found

    def keep(
        self,
        stage: StagePlan,
        position: int,
        step: FileStep,
        lowers: tuple[ImageLayer, ...],
        layer: StepLayer,
        created: datetime,
    ) -> None:
        """Keep the result of a step; see `StepResults`."""
        definition = self.definition_key(stage.index, position)
        self.count()

        def work() -> None:
            try:
                blob = layer.blob.result() if layer.blob is not None else None
                found = (definition, self._keys.by_content(stage, step, diff_ids(lowers)))
            except BuildError:
                return  # the layer could not be written, which its reader reports
            keys = tuple(dict.fromkeys(key for key in found if key is not None))
            occurrence = self._keys.occurrence(stage, step)
            if keys:
                self._use.store((*keys, occurrence) if occurrence else keys, CachedStep(blob, created))

        with self._lock:
            self._keeping.append(self._pool.submit(work))

    def count(self) -> None:
        """Count a step that was executed and whose result is not kept."""
        with self._lock:
            self.run += 1

    def finish(self) -> None:
        """Wait until everything is kept."""
        with self._lock:
            keeping = list(self._keeping)
        for each in keeping:
            each.result()

    @property
    def used(self) -> tuple[StoredLayer, ...]:
        """The layers that came from a cache."""
        with self._lock:
            return tuple(self._used)

    def _find(self, key: Key) -> CachedStep | None:
        return self._use.lookup(key, self._distrusted)

    def _wanted(self) -> frozenset[Key]:
        """Return the definition keys to look up."""
        stages = (keys for index, keys in self._definitions.items() if self._use.reads_for(index))
        return frozenset(key for keys in stages for key in keys.steps if key is not None)


def diff_ids(layers: tuple[ImageLayer, ...]) -> tuple[DiffID, ...]:
    """Return the diff IDs of layers, waiting for those that are being written.

    Raises:
        BuildError: one cannot be written.
    """
    found: list[DiffID] = []
    for layer in layers:
        if isinstance(layer, StepLayer):
            blob = layer.blob.result() if layer.blob is not None else None
            if blob is not None:
                found.append(blob.diff_id)
        else:
            found.append(layer.diff_id)
    return tuple(found)
