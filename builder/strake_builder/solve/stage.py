"""Runs the steps of one stage, one after the other, each over the layers of those before it."""

from __future__ import annotations

import contextlib
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
from strake_builder.frontend.evaluated import EvaluatedStage
from strake_builder.frontend.planned import StagePlan
from strake_builder.frontend.steps import AddStep, ConfigStep, CopyStep, RunStep, WorkdirStep
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.accounts import find_account, split_user
from strake_builder.rootfs.inside import NewDirectory, Root
from strake_builder.rootfs.remove import remove_tree
from strake_builder.rootfs.snapshotter import Snapshot
from strake_builder.sandbox.crun import Crun
from strake_builder.solve.add_step import AddPlaces, execute_add
from strake_builder.solve.cancellation import Cancellation
from strake_builder.solve.copy_step import execute_copy, resolve_owner
from strake_builder.solve.export import LayerExporter
from strake_builder.solve.file_origins import FileOrigins
from strake_builder.solve.foreign_programs import ForeignPrograms
from strake_builder.solve.image_layers import ImageLayer, StepLayer
from strake_builder.solve.layer_store import LayerStore
from strake_builder.solve.remote_sources import RemoteSources
from strake_builder.solve.run_mounts import MountMaker
from strake_builder.solve.run_step import execute_run
from strake_builder.solve.stage_result import StageResult, StepRecord
from strake_builder.solve.step_results import StepResults
from strake_builder.solve.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StageTools:
    """What executing steps needs; shared by all stages of a build. Without caches there are no `results`."""

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

    def run(self, base: StageResult) -> StageResult:
        """Run every step over a base, but for those whose result is known.

        Raises:
            BuildError: a step failed, with its location; or the build was stopped.
        """
        tools, steps = self._tools, self._evaluated.steps
        layers, records = list(base.layers), list(base.records)
        known = deque(tools.results.leading(self._stage.index) if tools.results else ())
        if sum(not isinstance(step, ConfigStep) for step in steps) > len(known):
            tools.store.prefetch((*base.layers, *(step.layer for step in known if step.layer)))
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
        return StageResult(tuple(layers), tuple(records))

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
        layer = self._timed(self._first + position, step, below)
        created = datetime.now(UTC)
        if self._tools.results is not None:
            self._tools.results.keep(self._stage, position, step, below, layer, created)
        return StepRecord(step, layer, created, self._key(position))

    def _key(self, position: int) -> Key | None:
        results = self._tools.results
        return results.definition_key(self._stage.index, position) if results else None

    def _timed(self, number: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> StepLayer:
        self._tools.origins.await_stages(step)
        with self._slots:
            return self._held(number, step, layers)

    def _held(self, number: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> StepLayer:
        reporter, origin = self._tools.reporter, step.origin
        reporter.step_started(number, origin.span.first, origin.text, self._stage.label)
        started = time.monotonic()
        try:
            layer = self._execute(number, step, layers)
        except Exception as error:
            exit_code = error.exit_code if isinstance(error, RunStepFailed) else None
            reporter.step_failed(number, time.monotonic() - started, exit_code)
            self._tools.cancellation.check()  # a step killed because of another one is not the culprit
            raise _located(error, step) from error
        reporter.step_finished(number, time.monotonic() - started)
        return layer

    def _execute(self, number: int, step: FileStep, layers: tuple[ImageLayer, ...]) -> StepLayer:
        tools = self._tools
        directories = tools.store.directories(layers)
        tools.cancellation.check()
        below = () if isinstance(step, CopyStep | AddStep) and step.link else directories
        workspace, roots = tools.workspace, tools.workspace.roots
        with contextlib.ExitStack() as scope:
            snapshot = scope.enter_context(roots.mounted(below, workspace.new_name("step")))
            names = snapshot.root
            if _needs_names(step) and below != directories:
                names = scope.enter_context(roots.view(directories, workspace.new_name("names")))
            self._step(number, step, snapshot, names)
        kept = self._exported or tools.results is not None
        blob = tools.exporter.export(snapshot, push=self._exported) if kept else None
        return StepLayer(snapshot.upper, blob)

    def _step(self, number: int, step: FileStep, snapshot: Snapshot, names: str) -> None:
        """Execute a step in a snapshot; `names` is the root whose users and groups count."""
        tools, platform = self._tools, self._stage.platform
        match step:
            case RunStep():

                def sink(stream: str, line: str) -> None:
                    tools.reporter.output(number, stream, line)

                tools.foreign.require(platform)
                execute_run(step, snapshot.root, platform, tools.crun, tools.mounts, sink)
            case CopyStep():
                with Root(snapshot.root) as root, Root(names) as accounts:
                    owner = resolve_owner(step.chown, accounts)
                    execute_copy(step, owner, root, tools.origins, platform, tools.reporter)
            case AddStep():
                with Root(snapshot.root) as root, Root(names) as accounts:
                    owner = resolve_owner(step.chown, accounts)
                    scratch = tools.workspace.directory(tools.workspace.new_name("add"))
                    places = AddPlaces(root, scratch, tools.origins, platform, tools.remote)
                    execute_add(step, owner, places, tools.reporter)
                    remove_tree(scratch)
            case WorkdirStep():
                with Root(snapshot.root) as root:
                    user, group = split_user(step.user)
                    path = step.path.encode(errors="surrogateescape")
                    if root.stat(path) is None:
                        account = find_account(root, user, group)
                        root.make_directories(path, NewDirectory(0o755, account.uid, account.gid))
            case _:
                assert_never(step)


def _needs_names(step: FileStep) -> bool:
    return isinstance(step, CopyStep | AddStep) and step.chown is not None and step.chown.needs_names


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
