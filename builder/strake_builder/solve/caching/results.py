"""Which steps a build need not execute: all lookups at once, and what is kept for the next build.

What the definition keys find is used from the bottom of a stage up to the first miss: a result above a
step that runs anew was made over another result of that step. From there on only content keys count.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep, StepCache
from strake_builder.errors import BuildError
from strake_builder.frontend.model.planned import StageBase, StagePlan
from strake_builder.frontend.model.steps import (
    BindMount,
    CacheMount,
    ConfigStep,
    CopyStep,
    FromStage,
    RunStep,
    Step,
)
from strake_builder.layers.blobs import StoredLayer
from strake_builder.solve.caching.keys import StageKeys, StepKeys
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_oci.spec.digest import DiffID, Digest

_LOOKUPS: Final = 16


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How a build uses its caches.

    Attributes:
        caches: where results are looked for, in this order, and kept.
        reads: whether results are looked for.
        fresh_stages: indices of stages whose results are not looked for.
    """

    caches: tuple[StepCache, ...]
    reads: bool = True
    fresh_stages: frozenset[int] = frozenset()


class StepResults:
    """The cached results of one build's steps. Thread-safe.

    Args:
        build: the build.
        keys: makes keys.
        use: the caches and what may be read from them.
        distrusted: digests of layers that turned out broken; no result with one of them is used.
        pool: where results are kept, while the build goes on.

    Attributes:
        needed: indices of the stages that must be there; the others are read by nobody any more.
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
        self._build = build
        self._keys = keys
        self._use = use
        self._distrusted = distrusted
        self._pool = pool
        self._keeping: list[Future[None]] = []
        self._lock = threading.Lock()
        self._used: list[StoredLayer] = []
        self.run = 0
        self._definitions = keys.by_definition()
        self._leading = self._look_up()
        self.needed = self._needs()

    def leading(self, stage: int) -> tuple[CachedStep, ...]:
        """Return the results of a stage's first steps, those that only change the configuration left out."""
        return self._leading[stage]

    def definition_key(self, stage: int, position: int) -> Key | None:
        """Return the definition key of a step by its position in its stage."""
        return self._definitions[stage].steps[position]

    def by_content(
        self, stage: StagePlan, step: FileStep, below: tuple[ImageLayer, ...]
    ) -> CachedStep | None:
        """Look for the result of a step whose stages are built, by the content that it stands on.

        Waits for the diff IDs of the layers below, unless nothing can be found anyhow.

        Raises:
            BuildError: a layer below cannot be written.
        """
        if not self._reads(stage.index):
            return None
        occurrence = self._keys.occurrence(stage, step)
        if occurrence is None or self._find(occurrence) is None:
            return None
        key = self._keys.by_content(stage, step, diff_ids(below))
        found = self._find(key) if key is not None else None
        if found is not None:
            self._note_use([found])
        return found

    def keep(
        self,
        stage: StagePlan,
        position: int,
        step: FileStep,
        below: tuple[ImageLayer, ...],
        layer: StepLayer,
        created: datetime,
    ) -> None:
        """Keep what a step came to, when its layer is written; nothing is waited for."""
        definition = self.definition_key(stage.index, position)
        with self._lock:
            self.run += 1

        def work() -> None:
            try:
                blob = layer.blob.result() if layer.blob is not None else None
                found = (definition, self._keys.by_content(stage, step, diff_ids(below)))
            except BuildError:
                return  # the layer could not be written, which whoever needs it reports
            keys = tuple(dict.fromkeys(key for key in found if key is not None))
            occurrence = self._keys.occurrence(stage, step)
            if keys:
                for cache in self._use.caches:
                    cache.store((*keys, occurrence) if occurrence else keys, CachedStep(blob, created))

        with self._lock:
            self._keeping.append(self._pool.submit(work))

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

    def _reads(self, stage: int) -> bool:
        return self._use.reads and stage not in self._use.fresh_stages

    def _find(self, key: Key) -> CachedStep | None:
        for cache in self._use.caches:
            found = cache.lookup(key)
            if found is not None and not (found.layer and found.layer.descriptor.digest in self._distrusted):
                return found
        return None

    def _look_up(self) -> dict[int, tuple[CachedStep, ...]]:
        wanted = {
            key
            for index, keys in self._definitions.items()
            if self._reads(index)
            for key in keys.steps
            if key is not None
        }
        found: dict[Key, CachedStep | None] = {}
        if wanted:
            with ThreadPoolExecutor(_LOOKUPS, "cache-lookup") as pool:
                found = dict(zip(wanted, pool.map(self._find, wanted), strict=True))
        leading: dict[int, tuple[CachedStep, ...]] = {}
        whole: dict[int, bool] = {}  # stages of which, and of whose bases, every step was found
        for stage in self._build.plan.stages:
            index, base = stage.index, stage.base
            steps = self._build.stages[index].steps
            grounded = not isinstance(base, StageBase) or whole[base.index]
            leading[index] = tuple(_run_of_hits(steps, self._definitions[index], found)) if grounded else ()
            whole[index] = grounded and len(leading[index]) == len(_file_steps(steps))
            self._note_use(leading[index])
        return leading

    def _note_use(self, results: list[CachedStep] | tuple[CachedStep, ...]) -> None:
        with self._lock:
            self._used += [result.layer for result in results if result.layer is not None]

    def _needs(self) -> frozenset[int]:
        """Return the stages that must be there: those of the image, and what missing results are made of."""
        needed: set[int] = set()
        waiting = [self._build.plan.target]
        while waiting:
            index = waiting.pop()
            if index in needed:
                continue
            needed.add(index)
            base = self._build.plan.every_stage[index].base
            if isinstance(base, StageBase):
                waiting.append(base.index)
            for step in _file_steps(self._build.stages[index].steps)[len(self._leading[index]) :]:
                waiting.extend(_stages_read(step))
        return frozenset(needed)


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


def _file_steps(steps: tuple[Step, ...]) -> list[FileStep]:
    return [step for step in steps if not isinstance(step, ConfigStep)]


def _run_of_hits(
    steps: tuple[Step, ...], keys: StageKeys, found: dict[Key, CachedStep | None]
) -> Iterator[CachedStep]:
    for step, key in zip(steps, keys.steps, strict=True):
        if isinstance(step, ConfigStep):
            continue
        result = found.get(key) if key is not None else None
        if result is None:
            return
        yield result


def _stages_read(step: FileStep) -> Iterator[int]:
    match step:
        case CopyStep(source=FromStage(index)):
            yield index
        case RunStep():
            for mount in step.mounts:
                if isinstance(mount, BindMount | CacheMount) and isinstance(mount.source, FromStage):
                    yield mount.source.index
        case _:
            return
