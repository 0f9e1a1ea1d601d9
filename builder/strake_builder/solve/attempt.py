"""One attempt at the image: the steps that must run, then the manifest.

A second attempt is made only when a cached layer turned out broken after it was built upon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from strake_api.models.verification import CheckResult
from strake_api.reasons import ProgressReason
from strake_api.result import StepCounts
from strake_builder.attestations.facts import FoundSBOM
from strake_builder.cache.keys import Value
from strake_builder.errors import BaseImageError, BuildError, OutputError, VerificationError
from strake_builder.frontend.model.steps import ConfigStep
from strake_builder.isolation.sandboxes import open_sandbox
from strake_builder.layers.blobs import StoredLayer
from strake_builder.layers.format import LayerFormat
from strake_builder.output.targets import TreeArchiveTarget, TreeTarget
from strake_builder.solve.attesting.attest import attest
from strake_builder.solve.caching.check import broken_layers
from strake_builder.solve.caching.inputs import StepInputs
from strake_builder.solve.caching.keys import StepKeys
from strake_builder.solve.caching.no_cache import NoStepResults
from strake_builder.solve.caching.outlines import CachedOutlines
from strake_builder.solve.caching.read_outlines import ReadOutlines
from strake_builder.solve.caching.results import CachedStepResults
from strake_builder.solve.caching.step_caching import StepCaching
from strake_builder.solve.caching.unpacked_stages import read_stages, unpacked_stages
from strake_builder.solve.images.assemble import FinishedImage, finish_image, image_notes
from strake_builder.solve.images.base_outlines import BaseOutlines
from strake_builder.solve.images.export import LayerExporter, layer_format
from strake_builder.solve.images.layer_reader import LayerReader
from strake_builder.solve.images.outputs import FileOutputs
from strake_builder.solve.images.push import ImagePush
from strake_builder.solve.images.stage_result import StageResult
from strake_builder.solve.parts import BuildParts
from strake_builder.solve.stage import StageTools
from strake_builder.solve.stages import StageRuns
from strake_builder.solve.steps.emulation import ForeignPrograms
from strake_builder.solve.steps.execute import RunTools, StepExecutor
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.steps.mounts import MountMaker
from strake_builder.solve.steps.networks import require_networks
from strake_oci.cancellation import Cancellation
from strake_oci.spec.digest import Digest

NOT_FINAL: Final = (BaseImageError, OutputError)
"""What ends an attempt that used a cache, but not the build: a broken layer of the cache may be to blame."""


class Attempt:
    """One attempt.

    Args:
        parts: see `BuildParts`.
        whole: stops the build.
        distrusted: digests of cached layers that are broken.
        started: when the build began.

    Attributes:
        checks: how the checks of the image ended.
    """

    def __init__(
        self, parts: BuildParts, whole: Cancellation, distrusted: frozenset[Digest], started: datetime
    ) -> None:
        self._started = started
        self.checks: tuple[CheckResult, ...] = ()
        self._parts = parts
        self._whole = whole
        self._cancellation = Cancellation(whole)
        self._distrusted = distrusted
        self._outlines = self._read_outlines()
        self._caching = StepCaching(NoStepResults(parts.evaluated), self._outlines, keeps_layers=False)
        self._stage_result = StageResult()
        self._foreign = ForeignPrograms(parts.workspace.path)
        # With a cache the layers are written anyhow.
        self._makes_image = parts.requested.inputs.outputs.image or parts.caches.enabled
        self._clients = parts.registries.clients
        self._push = ImagePush(
            parts.registries.pusher, self._clients.pulling, parts.pools.push, self._cancellation
        )
        self._cancellation.on_cancel(self._end_transfers)

    def run(self) -> FinishedImage | None:
        """Build the image and bring it to where it goes; return it if it is wanted.

        Raises:
            BuildError: there is no image and no tag; with the reason.
        """
        try:
            return self._run()
        except BuildError as error:
            # Transfers that end because of it are not what failed.
            self._cancellation.cancel(error)
            raise

    def _run(self) -> FinishedImage | None:
        parts, inputs, phases = self._parts, self._parts.requested.inputs, self._parts.progress.phases
        with phases.entered(ProgressReason.BUILDING, "build"):
            runs = StageRuns(
                parts.evaluated,
                self._cancellation,
                inputs.jobs,
                image=self._makes_image,
                single_layer=inputs.outputs.single_layer,
                read=self._read_stages(),
            )
            sources = parts.sources
            origins = FileOrigins(
                parts.workspace, sources.context, sources.named, parts.store, sources.images, runs.layers
            )
            if parts.caches.enabled:
                self._caching = self._look_up(origins)
            else:  # with caches, it may be that nothing must run
                self._foreign.require_all(parts.evaluated)
                require_networks(parts.evaluated, inputs.confinement.isolation)
            tools = self._tools(origins)
            if inputs.outputs.push:
                self._push.begin(self._known_layers())
            self._stage_result = runs.run(tools)
            sboms = self._sboms(runs)
        with phases.entered(ProgressReason.PUSHING, "push"):
            image = self._finish(sboms) if self._makes_image else None
            if parts.checks:
                self._verify(tools, image, sboms)
            self._write_files(image)
            if image is not None:
                taken = not inputs.outputs.push or self._push.finish(image, image.attestation)
                image = replace(image, attested=taken)
        self._caching.finish()
        return image

    def broken_layers(self) -> tuple[StoredLayer, ...]:
        """Return the cached layers of this attempt that are not what their entries say."""
        return tuple(broken_layers(self._caching.results.used, self._clients.pulling))

    def counts(self) -> StepCounts:
        """Return how the steps ended."""
        files = sum(not isinstance(step, ConfigStep) for step in self._parts.evaluated.steps)
        run = self._caching.results.run
        return StepCounts(total=len(self._parts.evaluated.steps), run=run, cached=files - run)

    def _end_transfers(self, reason: Exception) -> None:
        """End what is on its way to or from registries, if this failure is the build's."""
        if not self._parts.caches.enabled:
            self._whole.cancel(reason)
        elif not isinstance(reason, NOT_FINAL):
            self._clients.abandon()
            self._parts.sources.remote.cancel(reason)

    def _read_outlines(self) -> ReadOutlines:
        """Return outlines that are made of layers, which are read for them."""
        parts, inputs = self._parts, self._parts.requested.inputs
        reader = LayerReader(self._parts.registries.clients.pulling, parts.progress.reporter)
        outlines = BaseOutlines(parts.workspace, reader, parts.pools.pull, inputs.max_unpacked)
        parts.workspace.until_closed(outlines.close)
        unpacked = unpacked_stages(parts.evaluated, is_target_read=self._is_target_read())
        return ReadOutlines(parts.evaluated, unpacked, outlines, parts.store.has)

    def _read_stages(self) -> frozenset[int]:
        """Return the stages of whose files something else than their layers is made: a scan's SBOMs, too."""
        parts = self._parts
        read = read_stages(parts.evaluated, is_target_read=self._is_target_read())
        return read if parts.scan is None else read | {parts.scan.stage}

    def _is_target_read(self) -> bool:
        """Return whether the files of the image itself are an output."""
        files = self._parts.requested.inputs.outputs.files
        is_checked = bool(self._parts.checks)
        return is_checked or any(isinstance(file, TreeTarget | TreeArchiveTarget) for file in files)

    def _is_read_once(self) -> bool:
        """Return whether nothing but its layer is made of what the target's last step leaves.

        Other targets may be over the target, or execute over the same base meanwhile; the image of another
        platform may be over the same base later.
        """
        parts = self._parts
        is_shared = parts.caches.enabled or parts.evaluated.plan.also or parts.requested.in_index
        return not (is_shared or self._is_target_read())

    def _look_up(self, origins: FileOrigins) -> StepCaching:
        """Find out which steps the caches have, before any runs."""
        parts, sources, pool = self._parts, self._parts.sources, self._parts.pools.cache
        sources.remote.prefetch(parts.evaluated.steps)
        inputs = StepInputs(origins, sources.images, sources.remote, sources.digests)
        keys = StepKeys(parts.evaluated, inputs, _form(self._layer_format()))
        return StepCaching(
            CachedStepResults(parts.evaluated, keys, parts.caches, self._distrusted, pool),
            CachedOutlines(
                parts.workspace,
                parts.store,
                parts.caches,
                pool,
                parts.progress.reporter,
                # A cache on disk has unpacked layers, too, which later builds use.
                self._outlines.of_stage if parts.requested.inputs.cache.path is None else None,
            ),
            keeps_layers=True,
        )

    def _layer_format(self) -> LayerFormat:
        requested = self._parts.requested
        return layer_format(requested.request.output, requested.epoch, requested.inputs.outputs.left_out)

    def _tools(self, origins: FileOrigins) -> StageTools:
        parts, workspace, inputs = self._parts, self._parts.workspace, self._parts.requested.inputs
        sandbox = open_sandbox(
            inputs.confinement,
            workspace.runtime_directory(),
            workspace.roots,
            self._paths_in_use(),
            parts.progress.reporter.warn,
            (context.path,) if (context := parts.requested.request.source.directory) else (),
        )
        self._cancellation.on_cancel(lambda _: sandbox.stop())
        pusher = parts.registries.pusher if inputs.outputs.push else None
        return StageTools(
            steps=StepExecutor(
                workspace,
                origins,
                parts.sources.remote,
                RunTools(sandbox, self._mounts(origins), self._foreign),
                parts.progress.reporter,
                inputs.max_unpacked,
            ),
            workspace=workspace,
            store=parts.store,
            exporter=LayerExporter(
                workspace,
                parts.pools.export,
                self._cancellation,
                pusher,
                self._layer_format(),
                self._whole if parts.caches.enabled else None,
                discards=self._is_read_once(),
            ),
            caching=self._caching,
            reporter=parts.progress.reporter,
            cancellation=self._cancellation,
        )

    def _mounts(self, origins: FileOrigins) -> MountMaker:
        requested, workspace = self._parts.requested, self._parts.workspace
        inputs, aliases = requested.inputs, requested.request.host_aliases
        kept, warn = self._parts.kept_mounts, self._parts.progress.reporter.warn
        return MountMaker(workspace, inputs.run, inputs.cache.path, origins, warn, kept, aliases)

    def _paths_in_use(self) -> tuple[str, ...]:
        inputs = self._parts.requested.inputs
        return (*inputs.cache.directories, *inputs.run.ssh_sockets.values())

    def _sboms(self, runs: StageRuns) -> tuple[FoundSBOM, ...]:
        scan = self._parts.scan
        if scan is None:
            return ()
        from strake_builder.solve.attesting.sbom import read_sboms

        layer = runs.layers(scan.stage)[-1:]
        (directory,) = self._parts.store.directories(layer)
        found = read_sboms(directory, scan.scanner)
        self._parts.requested.inputs.observer.found(found)
        return found

    def _finish(self, sboms: tuple[FoundSBOM, ...]) -> FinishedImage:
        evaluated = self._parts.evaluated
        target = evaluated.plan.target
        base = evaluated.base_of(target)
        image = finish_image(
            self._stage_result,
            evaluated.stages[target],
            base.config if base else None,
            self._parts.requested.platform,
            image_notes(self._parts.requested.request, self._parts.requested.epoch),
            named=self._parts.requested.request.platform is not None,
        )
        return attest(image, self._parts, self._stage_result, self._started, sboms)

    def _verify(self, tools: StageTools, image: FinishedImage | None, sboms: tuple[FoundSBOM, ...]) -> None:
        """Have the checks run on the image, which is at its destinations without a tag then."""
        from strake_builder.solve.verifying.verification import Verification, Verified

        parts, requested, evaluated = self._parts, self._parts.requested, self._parts.evaluated
        pushed: tuple[str, ...] = ()
        if image is not None and requested.inputs.outputs.push:
            self._push.by_digest(image)
            repositories = dict.fromkeys(each.repository for each in requested.pushed_to)
            pushed = tuple(f"{each}@{image.descriptor.digest}" for each in repositories)
        verified = Verified(
            plan=evaluated.plan,
            result=self._stage_result,
            config=evaluated.stages[evaluated.plan.target].config,
            platform=requested.platform,
            digest=image.descriptor.digest if image is not None else None,
            pushed=pushed,
            sboms=sboms,
            is_one_of_several=requested.by_digest,
        )
        try:
            self.checks = Verification(parts.checks, tools, verified, len(evaluated.steps) + 1).run()
        except VerificationError:
            self._caching.finish()  # the steps are good: the next build has them
            raise

    def _write_files(self, image: FinishedImage | None) -> None:
        parts, requested = self._parts, self._parts.requested
        outputs = FileOutputs(
            parts.workspace,
            parts.store,
            self._clients.pulling,
            parts.progress.reporter,
            requested.destinations,
            requested.inputs.outputs.file_mask,
            self._cancellation.check,
            requested.epoch,
        )
        outputs.write(requested.own_files, image, self._stage_result.layers)

    def _known_layers(self) -> Iterable[StoredLayer]:
        """Yield the layers of the image that are known before any step runs."""
        evaluated = self._parts.evaluated
        base = evaluated.base_of(evaluated.plan.target)
        if base is not None:
            yield from base.layers
        for stage in evaluated.chain(evaluated.plan.target):
            hits = self._caching.results.selection.hits[stage]
            yield from (hit.layer for hit in hits if hit.layer is not None)


def _form(form: LayerFormat) -> Value:
    """Return what a layer's bytes depend on besides its step."""
    left_out = tuple(path.decode(errors="surrogateescape") for path in sorted(form.left_out))
    return (form.compression.value, form.level, form.epoch, *([left_out] if left_out else []))
