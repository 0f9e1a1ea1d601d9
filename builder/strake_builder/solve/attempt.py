"""One attempt at the image: the steps that must run, then the manifest.

A second attempt is made only when a cached layer turned out broken after it was built upon.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Final

from strake_api.reasons import ProgressReason
from strake_api.request import BuildRequest
from strake_api.result import StepCounts
from strake_builder.cache.keys import Value
from strake_builder.context.filtered import ContextFiles
from strake_builder.errors import BaseImageError, BuildError, OutputError
from strake_builder.frontend.model.steps import ConfigStep
from strake_builder.layers.blobs import PulledLayer, StoredLayer
from strake_builder.layers.format import LayerFormat
from strake_builder.output.push import Pusher
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.files.content_digest import FileDigests
from strake_builder.rootfs.mounts.syscalls import mount_setattr_refused, pivot_root_refused
from strake_builder.sandbox.crun import Crun
from strake_builder.solve.caching.check import broken_layers
from strake_builder.solve.caching.inputs import StepInputs
from strake_builder.solve.caching.keys import StepKeys
from strake_builder.solve.caching.lookup import CacheUse
from strake_builder.solve.caching.no_cache import NoOutlines, NoStepResults
from strake_builder.solve.caching.outlines import CachedOutlines
from strake_builder.solve.caching.results import CachedStepResults
from strake_builder.solve.caching.step_caching import StepCaching
from strake_builder.solve.cancellation import Cancellation
from strake_builder.solve.clients import RegistryClients
from strake_builder.solve.images.assemble import FinishedImage, finish_image, image_notes, opener
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.images.export import LayerExporter
from strake_builder.solve.images.outputs import FileOutputs
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.inputs import BuildInputs
from strake_builder.solve.phases import Phases
from strake_builder.solve.planning.evaluation import EvaluatedBuild
from strake_builder.solve.stage import StageTools
from strake_builder.solve.stages import StageRuns
from strake_builder.solve.steps.emulation import ForeignPrograms
from strake_builder.solve.steps.execute import RunTools, StepExecutor
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.steps.mounts import MountMaker
from strake_builder.solve.steps.remote import RemoteSources
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference

NOT_FINAL: Final = (BaseImageError, OutputError)
"""What ends an attempt that used a cache, but not the build: a broken layer of the cache may be to blame."""


@dataclass(frozen=True, slots=True)
class BuildParts:
    """What every attempt at a build works with.

    Attributes:
        request: what to build.
        inputs: secrets and places.
        platform: to build for.
        destinations: where the image goes.
        evaluated: the build with nothing left to find out.
        files: the context.
        workspace: where everything is made.
        images: knows images.
        store: unpacks layers.
        clients: talk to registries.
        pusher: writes to the destinations.
        exports: where layers are written.
        keeping: where results are put into caches.
        pushes: where blobs are brought to the destinations.
        caches: the step caches.
        form: how layers are written.
        reporter: hears of progress.
        phases: are told where the build is.
        remote: fetches what ADD names.
        digests: remembers those of files that steps read.
    """

    request: BuildRequest
    inputs: BuildInputs
    platform: Platform
    destinations: tuple[Reference, ...]
    evaluated: EvaluatedBuild
    files: ContextFiles
    workspace: Workspace
    images: BaseImages
    store: LayerStore
    clients: RegistryClients
    pusher: Pusher
    exports: Executor
    keeping: Executor
    pushes: Executor
    caches: CacheUse
    form: LayerFormat
    reporter: Reporter
    phases: Phases
    remote: RemoteSources
    digests: FileDigests


class Attempt:
    """One attempt.

    Args:
        parts: see `BuildParts`.
        whole: stops the build.
        distrusted: digests of cached layers that are broken.
    """

    def __init__(self, parts: BuildParts, whole: Cancellation, distrusted: frozenset[Digest]) -> None:
        self._parts = parts
        self._whole = whole
        self._cancellation = Cancellation(whole)
        self._distrusted = distrusted
        self._caching = StepCaching(NoStepResults(parts.evaluated), NoOutlines(), keeps_layers=False)
        self._stage_result = StageResult()
        self._foreign = ForeignPrograms(parts.workspace.path)
        # With a cache the layers are written anyhow.
        self._makes_image = parts.inputs.image or parts.caches.enabled
        self._cancellation.on_cancel(self._end_transfers)

    def run(self) -> FinishedImage | None:
        """Build the image and bring it to where it goes; return it if it is wanted.

        Raises:
            BuildError: there is no image and no tag; with the reason.
        """
        parts = self._parts
        with parts.phases.entered(ProgressReason.BUILDING, "build"):
            runs = StageRuns(parts.evaluated, self._cancellation, parts.inputs.jobs, image=self._makes_image)
            origins = FileOrigins(parts.workspace, parts.files, parts.store, parts.images, runs.layers)
            if parts.caches.enabled:
                self._caching = self._look_up(origins)
            else:  # with caches, it may be that nothing must run
                self._foreign.require_all(parts.evaluated)
            tools = self._tools(origins)
            early = self._push_layers(self._known_layers()) if parts.inputs.push else []
            self._stage_result = runs.run(tools)
        with parts.phases.entered(ProgressReason.PUSHING, "push"):
            image = self._finish() if self._makes_image else None
            self._write_files(image)
            if image is not None and parts.inputs.push:
                self._push(image, early)
        self._caching.finish()
        return image

    def broken_layers(self) -> tuple[StoredLayer, ...]:
        """Return the cached layers of this attempt that are not what their entries say."""
        return tuple(broken_layers(self._caching.results.used, self._parts.clients.pulling))

    def counts(self) -> StepCounts:
        """Return how the steps ended."""
        files = sum(not isinstance(step, ConfigStep) for step in self._parts.evaluated.steps)
        run = self._caching.results.run
        return StepCounts(total=len(self._parts.evaluated.steps), run=run, cached=files - run)

    def _end_transfers(self) -> None:
        """End what is on its way to or from registries, if this failure is the build's."""
        reason = self._cancellation.reason
        if reason is not None and not self._parts.caches.enabled:
            self._whole.cancel(reason)
        elif not isinstance(reason, NOT_FINAL):
            self._parts.clients.abandon()
            self._parts.remote.stop()

    def _look_up(self, origins: FileOrigins) -> StepCaching:
        """Find out which steps the caches have, before any runs."""
        parts = self._parts
        parts.remote.prefetch(parts.evaluated.steps)
        inputs = StepInputs(origins, parts.images, parts.remote, parts.digests)
        keys = StepKeys(parts.evaluated, inputs, _form(parts.form))
        return StepCaching(
            CachedStepResults(parts.evaluated, keys, parts.caches, self._distrusted, parts.keeping),
            CachedOutlines(parts.workspace, parts.store, parts.caches, parts.keeping, parts.reporter),
            keeps_layers=True,
        )

    def _tools(self, origins: FileOrigins) -> StageTools:
        parts, workspace = self._parts, self._parts.workspace
        crun = Crun(
            workspace.runtime_directory(),
            program=parts.inputs.runtime,
            pivot_root=not pivot_root_refused(),
            recursive=not mount_setattr_refused(),
        )
        self._cancellation.on_cancel(crun.stop)
        pusher = parts.pusher if parts.inputs.push else None
        return StageTools(
            steps=StepExecutor(
                workspace,
                origins,
                parts.remote,
                RunTools(crun, MountMaker(workspace, parts.inputs, origins), self._foreign),
                parts.reporter,
                parts.inputs.max_unpacked,
            ),
            workspace=workspace,
            store=parts.store,
            exporter=LayerExporter(
                workspace,
                parts.exports,
                self._cancellation,
                pusher,
                parts.form,
                self._whole if parts.caches.enabled else None,
            ),
            caching=self._caching,
            reporter=parts.reporter,
            cancellation=self._cancellation,
        )

    def _finish(self) -> FinishedImage:
        evaluated = self._parts.evaluated
        target = evaluated.plan.target
        base = evaluated.base_of(target)
        return finish_image(
            self._stage_result,
            evaluated.stages[target],
            base.config if base else None,
            self._parts.platform,
            image_notes(self._parts.request),
        )

    def _write_files(self, image: FinishedImage | None) -> None:
        parts = self._parts
        outputs = FileOutputs(
            parts.workspace,
            parts.store,
            parts.clients.pulling,
            parts.reporter,
            parts.destinations,
            parts.inputs.file_mask,
            self._cancellation.check,
            parts.request.epoch,
        )
        outputs.write(parts.inputs.files, image, self._stage_result.layers)

    def _known_layers(self) -> Iterable[StoredLayer]:
        """Yield the layers of the image that are known before any step runs."""
        evaluated = self._parts.evaluated
        base = evaluated.base_of(evaluated.plan.target)
        if base is not None:
            yield from base.layers
        for stage in evaluated.chain(evaluated.plan.target):
            hits = self._caching.results.selection.hits[stage]
            yield from (hit.layer for hit in hits if hit.layer is not None)

    def _push_layers(self, layers: Iterable[StoredLayer]) -> list[Future[None]]:
        """Begin to bring layers to the destinations; a destination that refuses one stops the steps."""
        pusher = self._parts.pusher

        def bring(layer: StoredLayer) -> None:
            try:
                if isinstance(layer, PulledLayer):
                    pusher.copy_blob(layer.repository, layer.descriptor)
                else:
                    pusher.push_blob(layer.descriptor, opener(layer, self._parts.clients.pulling))
            except BuildError as error:
                self._cancellation.cancel(error)
                raise

        return [self._parts.pushes.submit(bring, layer) for layer in layers]

    def _push(self, image: FinishedImage, early: list[Future[None]]) -> None:
        for push in early:
            push.result()
        for push in self._push_layers(image.layers):
            push.result()
        self._cancellation.check()
        self._parts.pusher.push_manifest(
            image.config, image.config_descriptor, image.manifest, image.media_type
        )


def _form(form: LayerFormat) -> Value:
    """Return what a layer's bytes depend on besides its step."""
    return (form.compression.value, form.level, form.epoch)
