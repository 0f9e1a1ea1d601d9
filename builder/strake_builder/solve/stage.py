"""Runs the steps of one stage, one after the other, each over the layers of those before it."""

from __future__ import annotations

import errno
import time
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from strake_builder.cache.definitions import FileStep
from strake_builder.cache.keys import Key
from strake_builder.cache.step_cache import CachedStep
from strake_builder.errors import BuildError, Location, OutOfDisk, RunStepFailed, StepError, redact
from strake_builder.frontend.model.evaluated import EvaluatedStage
from strake_builder.frontend.model.planned import StagePlan
from strake_builder.frontend.model.steps import AddStep, ConfigStep, CopyStep, RunStep, WorkdirStep
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.backends.snapshotter import Snapshot
from strake_builder.rootfs.files.accounts import find_owner
from strake_builder.rootfs.files.inside import NewDirectory, Root
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.rootfs.unpack.allowance import MAX_UNPACKED
from strake_builder.sandbox.crun import Crun
from strake_builder.solve.caching.outlines import Outlines, StandIn
from strake_builder.solve.caching.results import StepResults
from strake_builder.solve.cancellation import Cancellation
from strake_builder.solve.images.export import LayerExporter
from strake_builder.solve.images.layers import ImageLayer, StepLayer
from strake_builder.solve.images.stage_result import StageResult, StepRecord
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.steps.add import AddPlaces, execute_add
from strake_builder.solve.steps.copy import execute_copy, resolve_owner
from strake_builder.solve.steps.emulation import ForeignPrograms
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.steps.mounts import MountMaker
from strake_builder.solve.steps.remote import RemoteSources
from strake_builder.solve.steps.run import execute_run
from strake_builder.solve.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StageTools:
    """What executing steps needs; shared by all stages of a build.

    Without caches there are no `results` and no `outlines`.
    """

    workspace: Workspace
    store: LayerStore
    origins: FileOrigins
    mounts: MountMaker
    crun: Crun
    exporter: LayerExporter
    reporter: Reporter
    cancellation: Cancellation
    foreign: ForeignPrograms
    remote: RemoteSources
    results: StepResults | None = None
    outlines: Outlines | None = None
    max_unpacked: int = MAX_UNPACKED


class StageExecutor:
    """Executes one stage.

    Args:
        tools: see `StageTools`.
        stage: the plan.
        evaluated: its steps.
        first_number: number of its first step in progress events.
        exported: whether its layers are part of the image, and so go where it goes.
        slots: held while a step executes, never while one waits for another stage.
    """

    def __init__(
        self,
        tools: StageTools,
        stage: StagePlan,
        evaluated: EvaluatedStage,
        first_number: int,
        *,
        exported: bool,
        slots: AbstractContextManager[object],
    ) -> None:
        self._tools = tools
        self._stage = stage
        self._evaluated = evaluated
        self._first = first_number
        self._exported = exported
        self._slots = slots
        self._ground = 0  # layers up to the last RUN's, or the base's
        self._outlines: dict[int, StandIn] = {}

    def run(self, base: StageResult) -> StageResult:
        """Run every step over a base, but for those whose result is known.

        Raises:
            BuildError: a step failed, with its location; or the build was stopped.
        """
        tools, steps = self._tools, self._evaluated.steps
        layers, records = list(base.layers), list(base.records)
        known = deque(tools.results.selection.hits[self._stage.index] if tools.results else ())
        self._prepare(base, tuple(known))
        for position, step in enumerate(steps):
            tools.cancellation.check()
            if isinstance(step, ConfigStep):
                records.append(StepRecord(step))
                continue
            below = tuple(layers)
            found = known.popleft() if known else self._by_content(step, below)
            record = self._cached(position, step, found) if found else self._executed(position, step, below)
            records.append(record)
            if record.layer is not None:
                layers.append(record.layer)
            if isinstance(step, RunStep):
                self._ground = len(layers)
        return StageResult(tuple(layers), tuple(records))

    def _prepare(self, base: StageResult, known: tuple[CachedStep, ...]) -> None:
        """Begin to bring what the steps need whose results are not known."""
        tools, layers, left = self._tools, list(base.layers), dict[int, FileStep]()
        self._ground = ground = len(layers)
        results = iter(known)
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
        if left and tools.outlines is not None:
            self._outlines = tools.outlines.of_stage(self._stage.index, tuple(layers), ground, left)
        if left and not self._outlines:
            tools.store.prefetch(tuple(layers))

    def _by_content(self, step: FileStep, below: tuple[ImageLayer, ...]) -> CachedStep | None:
        if self._tools.results is None:
            return None
        self._tools.origins.await_stages(step)
        return self._tools.results.by_content(self._stage, step, below)

    def _cached(self, position: int, step: FileStep, found: CachedStep) -> StepRecord:
        origin = step.origin
        number = self._first + position
        self._tools.reporter.step_cached(number, origin.span.first, origin.text, self._stage.label)
        return StepRecord(step, found.layer, found.created, self._key(position), cached=True)

    def _executed(self, position: int, step: FileStep, below: tuple[ImageLayer, ...]) -> StepRecord:
        layer = self._timed(position, step, below)
        created = datetime.now(UTC)
        if self._tools.results is not None:
            self._tools.results.keep(self._stage, position, step, below, layer, created)
        return StepRecord(step, layer, created, self._key(position))

    def _key(self, position: int) -> Key | None:
        results = self._tools.results
        return results.definition_key(self._stage.index, position) if results else None

    def _timed(self, position: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> StepLayer:
        self._tools.origins.await_stages(step)
        with self._slots:
            return self._held(position, step, layers)

    def _held(self, position: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> StepLayer:
        reporter, origin, number = self._tools.reporter, step.origin, self._first + position
        reporter.step_started(number, origin.span.first, origin.text, self._stage.label)
        started = time.monotonic()
        try:
            layer = self._execute(position, step, layers)
        except Exception as error:
            exit_code = error.exit_code if isinstance(error, RunStepFailed) else None
            reporter.step_failed(number, time.monotonic() - started, exit_code)
            self._tools.cancellation.check()  # a step killed because of another one is not the culprit
            raise _located(error, step) from error
        reporter.step_finished(number, time.monotonic() - started)
        return layer

    def _execute(self, position: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> StepLayer:
        tools, number = self._tools, self._first + position
        if _is_link(step):
            snapshot: Snapshot | None = self._over(number, step, ())
        else:
            snapshot = self._over_outline(number, position, step, layers)
        if snapshot is None:
            self._outlines.clear()
            directories = tools.store.directories(layers)
            snapshot = self._over(number, step, directories)
            if tools.outlines is not None:
                tools.outlines.keep(step, layers, self._ground, directories, snapshot.upper)
        kept = self._exported or tools.results is not None
        blob = tools.exporter.export(snapshot, push=self._exported) if kept else None
        return StepLayer(snapshot.upper, blob)

    def _over_outline(
        self, number: int, position: int, step: FileStep, layers: tuple[ImageLayer, ...]
    ) -> Snapshot | None:
        """Execute a step without its lowest layers; None if it turns out to need them."""
        found = self._outlines.get(position)
        above = self._tools.store.alone(layers[found.layers :]) if found is not None else None
        if found is None or above is None:
            return None
        try:
            snapshot = self._over(number, step, (found.outline.directory, *above))
        except StepError:
            return None  # it may be for something that the outline does not have
        return snapshot if found.outline.suffices(snapshot.upper) else None

    def _over(self, number: int, step: FileStep, directories: tuple[str, ...]) -> Snapshot:
        """Execute a step over layers."""
        self._tools.cancellation.check()
        workspace, roots = self._tools.workspace, self._tools.workspace.roots
        with roots.mounted(directories, workspace.new_name("step")) as snapshot:
            self._step(number, step, snapshot)
        return snapshot

    def _step(self, number: int, step: FileStep, snapshot: Snapshot) -> None:
        tools, platform = self._tools, self._stage.platform
        match step:
            case RunStep():

                def sink(stream: str, line: str) -> None:
                    tools.reporter.output(number, stream, line)

                tools.foreign.require(platform)
                room = tools.workspace.room
                execute_run(step, snapshot.root, platform, tools.crun, tools.mounts, room, sink)
            case CopyStep():
                with Root(snapshot.root) as root:
                    owner = resolve_owner(step.chown, root)
                    execute_copy(step, owner, root, tools.origins, platform, tools.reporter)
            case AddStep():
                with Root(snapshot.root) as root:
                    owner = resolve_owner(step.chown, root)
                    scratch = tools.workspace.directory(tools.workspace.new_name("add"))
                    places = AddPlaces(
                        root, scratch, tools.origins, platform, tools.remote, tools.max_unpacked
                    )
                    execute_add(step, owner, places, tools.reporter)
                    remove_tree(scratch)
            case WorkdirStep():
                with Root(snapshot.root) as root:
                    uid, gid = find_owner(root, step.user)
                    path = step.path.encode(errors="surrogateescape")
                    root.make_directories(path, NewDirectory(0o755, uid, gid))
            case _:
                assert_never(step)


def _is_link(step: FileStep) -> bool:
    """Say whether a step writes onto nothing; the frontend lets it name users by number only."""
    return isinstance(step, CopyStep | AddStep) and step.link


def _located(error: Exception, step: FileStep) -> Exception:
    """Say where an error happened, and turn what the file system says into words."""
    origin = step.origin
    location = Location(origin.file, origin.span.first, redact(origin.text))
    if isinstance(error, OSError):
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return OutOfDisk(
                "the work directory is full",
                hint="give the builder more ephemeral storage",
                location=location,
            )
        return StepError(f"{error.strerror or error}", location=location)
    if isinstance(error, BuildError) and error.location is None:
        error.location = location
    return error
