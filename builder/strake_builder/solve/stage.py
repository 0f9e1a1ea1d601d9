"""Runs the steps of one stage, one after the other, each over the layers of those before it.

The way of a step, from the plan to a pushed blob:

1. `StageExecutor.run` takes the steps in order. One that only changes the configuration is recorded, and
   one whose result a cache has is a cache hit: recorded, with the layer that the cache names.
2. `_execute` reports any other step, and waits for a slot.
3. `_snapshot` chooses what it is executed over: nothing (`--link`), outlines, or the unpacked layers.
4. `StepExecutor.execute` (`solve.steps.execute`) does what the instruction says in the mounted root.
5. `LayerExporter.export` (`solve.images.export`) writes and pushes what changed, in the background.
6. `StepResults.keep` (`solve.caching.results`) gives the result to the caches, when the layer is written.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.step_cache import CachedStep
from strake_builder.errors import BuildError, Location, StepError, redact
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.planned import StagePlan
from strake_builder.frontend.model.steps import (
    AddStep,
    ConfigStep,
    CopyStep,
    FromContext,
    FromNamedContext,
    RunStep,
)
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.solve.caching.outlines import StandIn, UnpackedLowers
from strake_builder.solve.caching.step_caching import StepCaching
from strake_builder.solve.images.export import LayerExporter
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.images.stage_result import StageResult, StepRecord
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.steps.execute import StepExecutor
from strake_builder.solve.workspace.workspace import Workspace
from strake_builder.unforeseen import from_os_error
from strake_oci.cancellation import Cancellation
from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StageTools:
    """What executing stages needs; shared by all stages of a build.

    Attributes:
        steps: executes steps.
        workspace: mounts their roots.
        store: unpacks their lower layers.
        exporter: writes and pushes their layers.
        caching: has, and keeps, their results.
        reporter: hears of progress.
        cancellation: stops them.
    """

    steps: StepExecutor
    workspace: Workspace
    store: LayerStore
    exporter: LayerExporter
    caching: StepCaching
    reporter: Reporter
    cancellation: Cancellation


@dataclass(frozen=True, slots=True)
class StageUse:
    """What becomes of a stage.

    Attributes:
        is_exported: its layers are part of the image, and so go where it goes.
        is_target: it is the last stage, over which and from which no other is made.
        is_read: something else than its layers is made of its files.
    """

    is_exported: bool
    is_target: bool
    is_read: bool


class StageExecutor:
    """Executes one stage.

    Args:
        tools: see `StageTools`.
        stage: the plan.
        evaluated: its steps.
        first_number: number of its first step in progress events.
        use: what becomes of it.
        slots: held while a step executes, never while one waits for another stage.
    """

    def __init__(
        self,
        tools: StageTools,
        stage: StagePlan,
        evaluated: EvaluatedStage,
        first_number: int,
        *,
        use: StageUse,
        slots: AbstractContextManager[object],
    ) -> None:
        self._tools = tools
        self._results = tools.caching.results
        self._stage = stage
        self._evaluated = evaluated
        self._first = first_number
        self._exported = use.is_exported
        files = [at for at, step in enumerate(evaluated.steps) if not isinstance(step, ConfigStep)]
        self._last = files[-1] if use.is_target and files else None
        self._unread = files[-1] if files and not use.is_read else None
        self._is_written = use.is_exported or tools.caching.keeps_layers
        self._slots = slots
        self._ground = 0  # layers up to the last RUN's, or the base's
        self._outlines: dict[int, StandIn] = {}

    def run(self, base: StageResult) -> StageResult:
        """Run every step over a base, but for those whose result is known.

        Raises:
            BuildError: a step failed, with its location; or the build was stopped.
        """
        layers, records = list(base.layers), list(base.records)
        hits = deque(self._results.selection.hits[self._stage.index])
        self._prepare(base, tuple(hits))
        for position, step in enumerate(self._evaluated.steps):
            self._tools.cancellation.check()
            if isinstance(step, ConfigStep):
                records.append(StepRecord(step))
                continue
            lowers = tuple(layers)
            hit = hits.popleft() if hits else self._by_content(step, lowers)
            record = self._cached(position, step, hit) if hit else self._execute(position, step, lowers)
            records.append(record)
            if record.layer is not None:
                layers.append(record.layer)
            if isinstance(step, RunStep):
                self._ground = len(layers)
        return StageResult(tuple(layers), tuple(records))

    def run_as_one(self, base: StageResult) -> StageResult:
        """Run every step in one root over a base, such that they make one layer together.

        Raises:
            BuildError: as `run`.
        """
        tools, records = self._tools, list(base.records)
        files = [step for step in self._evaluated.steps if not isinstance(step, ConfigStep)]
        if not files:
            return StageResult(base.layers, (*records, *map(StepRecord, self._evaluated.steps)))
        directories = tools.store.directories(base.layers)
        workspace, is_read = tools.workspace, self._is_read(self._unread)
        with workspace.roots.mounted(directories, workspace.new_name("stage"), is_read=is_read) as snapshot:
            for position, step in enumerate(self._evaluated.steps):
                tools.cancellation.check()
                if isinstance(step, ConfigStep):
                    records.append(StepRecord(step))
                    continue
                tools.steps.await_sources(step)
                with self._slots, self._reported(position, step):
                    tools.steps.execute(step, self._first + position, self._stage.platform, snapshot.root)
                self._results.count()
                records.append(StepRecord(step, None, datetime.now(UTC)))
        blob = tools.exporter.export(snapshot, last=self._last is not None)
        layer = StepLayer(snapshot.upper, blob)
        at = next(at for at in reversed(range(len(records))) if records[at].step is files[-1])
        records[at] = replace(records[at], layer=layer)
        return StageResult((*base.layers, layer), tuple(records))

    def _prepare(self, base: StageResult, hits: tuple[CachedStep, ...]) -> None:
        """Begin to bring what the steps need whose results are not known."""
        tools, layers, left = self._tools, list(base.layers), dict[int, FileStep]()
        self._ground = ground = len(layers)
        results = iter(hits)
        for position, step in enumerate(self._evaluated.steps):
            if isinstance(step, ConfigStep):
                continue
            result = next(results, None)
            if result is None:
                if not _is_link(step):
                    left[position] = step
            elif result.layer is not None:
                layers.append(result.layer)
            if result is not None and isinstance(step, RunStep):
                ground = len(layers)
        if left:
            outlines = tools.caching.outlines
            self._outlines = outlines.of_stage(self._stage.index, tuple(layers), ground, left)
            if not self._outlines:
                tools.store.prefetch(tuple(layers))

    def _by_content(self, step: FileStep, lowers: tuple[ImageLayer, ...]) -> CachedStep | None:
        self._tools.steps.await_sources(step)
        return self._results.by_content(self._stage, step, lowers)

    def _cached(self, position: int, step: FileStep, hit: CachedStep) -> StepRecord:
        origin = step.origin
        self._tools.reporter.step_cached(
            self._first + position, origin.span.first, origin.text, self._stage.label
        )
        key = self._results.definition_key(self._stage.index, position)
        return StepRecord(step, hit.layer, hit.created, key, cached=True)

    def _execute(self, position: int, step: FileStep, lowers: tuple[ImageLayer, ...]) -> StepRecord:
        """Execute a step over layers, begin to write and push what it changed, and keep the result."""
        with self._slots, self._reported(position, step):
            snapshot = self._snapshot(position, step, lowers)
            last = position == self._last and not _is_of_layers(step)
            exporter = self._tools.exporter
            blob = None
            if self._is_written:
                blob = exporter.export(snapshot, push=self._exported, last=last, location=_location(step))
        layer, created = StepLayer(snapshot.upper, blob), datetime.now(UTC)
        self._results.keep(self._stage, position, step, lowers, layer, created)
        key = self._results.definition_key(self._stage.index, position)
        return StepRecord(step, layer, created, key)

    @contextlib.contextmanager
    def _reported(self, position: int, step: FileStep) -> Iterator[None]:
        """Report that a step begins, and how it ends; an error gets its location."""
        reporter, origin, number = self._tools.reporter, step.origin, self._first + position
        reporter.step_started(number, origin.span.first, origin.text, self._stage.label)
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            exit_code = error.exit_code if isinstance(error, BuildError) else None
            reporter.step_failed(number, time.monotonic() - started, exit_code)
            self._tools.cancellation.check()  # a step killed because of another one is not the culprit
            raise _located(error, step) from error
        reporter.step_finished(number, time.monotonic() - started)

    def _snapshot(self, position: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> Snapshot:
        """Execute a step over what it needs of its lower layers, and return what it changed."""
        tools = self._tools
        if _is_link(step):
            return self._over(position, step, ())
        snapshot = self._over_outline(position, step, layers)
        if snapshot is None:
            self._outlines.clear()
            directories = tools.store.directories(layers)
            snapshot = self._over(position, step, directories)
            lowers = UnpackedLowers(directories, len(layers))
            tools.caching.outlines.keep(step, layers, self._ground, lowers, snapshot)
        return snapshot

    def _over_outline(self, position: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> Snapshot | None:
        """Execute a step without its lowest layers; None if it turns out to need them."""
        found = self._outlines.get(position)
        outline = found.outline() if found is not None else None
        above = self._tools.store.alone(layers[found.layers :]) if found is not None else None
        if outline is None or above is None:
            return None
        try:
            snapshot = self._over(position, step, (*outline.directories, *above))
        except StepError:
            return None  # it may be for something that the outline does not have
        if not outline.suffices(snapshot.upper, snapshot.deferred or ()):
            return None
        if (lowers := outline.lowers(above)) is not None:
            self._tools.caching.outlines.keep(step, layers, self._ground, lowers, snapshot)
        return snapshot

    def _over(self, position: int, step: FileStep, directories: tuple[str, ...]) -> Snapshot:
        """Execute a step over unpacked layers, and return what it changed."""
        self._tools.cancellation.check()
        workspace, number = self._tools.workspace, self._first + position
        is_read = self._is_read(position)
        deferred = self._deferred() if isinstance(step, CopyStep) and not is_read else None
        with workspace.roots.mounted(
            directories, workspace.new_name("step"), is_read=is_read or deferred is not None
        ) as snapshot:
            self._tools.steps.execute(step, number, self._stage.platform, snapshot.root, deferred)
        return snapshot if deferred is None else replace(snapshot, deferred=deferred)

    def _is_read(self, position: int | None) -> bool:
        """Say whether anything else than its layer is made of the files of a step."""
        return position is None or position != self._unread or not self._is_written

    def _deferred(self) -> DeferredFiles:
        """Return what takes files of a COPY in place of its root."""
        workspace = self._tools.workspace
        deferred = DeferredFiles(workspace.path)
        workspace.until_closed(deferred.close)
        return deferred


def _is_link(step: FileStep) -> bool:
    """Say whether a step writes onto nothing; the frontend lets it name users by number only."""
    return isinstance(step, CopyStep | AddStep) and step.link


def _is_of_layers(step: FileStep) -> bool:
    """Say whether a step copies out of layers: they may be those under it, and are read with its own."""
    return isinstance(step, CopyStep) and not isinstance(step.source, FromContext | FromNamedContext)


def _located(error: Exception, step: FileStep) -> Exception:
    """Say where an error happened, and turn what the file system says into words."""
    if isinstance(error, OSError):
        error = from_os_error(error, "the instruction cannot be executed", StepError)
    if isinstance(error, BuildError) and error.location is None:
        error.location = _location(step)
    return error


def _location(step: FileStep) -> Location:
    origin = step.origin
    return Location(origin.file, origin.span.first, redact(origin.text))
