"""From request to result: the order of a build, top to bottom.

request ─▶ context ─▶ Dockerfile ─▶ plan ─▶ base images ─▶ steps of every stage
                                                                  │
                     stages, each in a thread ◀───────────────────┘
                          │ a layer a step, written and pushed behind the next step's back
                          ▼
                     config, manifest, tags ─▶ result
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from strake_api.models.source import OCISource
from strake_api.reasons import ProgressReason
from strake_api.request import BuildRequest
from strake_api.result import BaseImage, BuildSucceeded, Sizes, StepCounts
from strake_api.values.destinations import run_values
from strake_builder import interrupt
from strake_builder.context.artifact import fetch_artifact
from strake_builder.context.fetch import FetchedContext, Means
from strake_builder.context.filtered import ContextFiles
from strake_builder.context.own_files import own_patterns
from strake_builder.errors import BuildTimeoutError
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.layers.blobs import WrittenLayer
from strake_builder.output.push import Pusher
from strake_builder.output.signing import Signer
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.files.content_digest import FileDigests
from strake_builder.solve.attempt import NOT_FINAL, Attempt
from strake_builder.solve.caching.open import LAYERS, cache_usage, open_caches, open_downloads
from strake_builder.solve.clients import RegistryClients
from strake_builder.solve.context_archive import unpack_context
from strake_builder.solve.contexts import ContextFetcher
from strake_builder.solve.images.assemble import FinishedImage, refuse_unnamed_layers
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.images.volumes import BaseVolumes
from strake_builder.solve.inputs import BuildInputs
from strake_builder.solve.parts import BuildParts, Pools, Progress, Registries, StepSources
from strake_builder.solve.phases import Phases
from strake_builder.solve.planning.allowed_images import check_allowed
from strake_builder.solve.planning.bases import resolve_bases
from strake_builder.solve.planning.evaluation import evaluate_all
from strake_builder.solve.planning.reading import read_plan, report_lint
from strake_builder.solve.planning.requested import Requested
from strake_builder.solve.planning.shown import plan_lines
from strake_builder.solve.signer import open_signer
from strake_builder.solve.steps.remote import RemoteSources
from strake_builder.solve.workspace.confined import check_work_directory
from strake_builder.solve.workspace.workspace import Workspace
from strake_builder.unforeseen import from_os_error
from strake_oci.cancellation import Cancellation
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.digest import Digest

_POOLS: Final[Mapping[str, int]] = MappingProxyType({"pull": 4, "cache": 2, "export": 2, "push": 4})
"""Threads for each kind of background work."""


class Build:
    """One build of one image.

    Args:
        request: what to build.
        inputs: credentials, secrets and places.
        reporter: hears of progress.
        cancellation: stops the build from outside.
    """

    def __init__(
        self, request: BuildRequest, inputs: BuildInputs, reporter: Reporter, cancellation: Cancellation
    ) -> None:
        self._request = request
        self._inputs = inputs
        self._reporter = reporter
        self._cancellation = cancellation
        self._requested = Requested.of(request, inputs)
        self._started = datetime.now(UTC)
        self._phases = Phases(reporter, cancellation)
        # Of no attempt: what one has begun to fetch, the next one uses.
        self._sources = Cancellation(cancellation)

    def run(self) -> BuildSucceeded:
        """Build and push.

        Raises:
            BuildError: there is no image and no tag; with the reason.
        """
        for warning in self._request.warnings:
            self._reporter.warn(warning)
        with contextlib.ExitStack() as scope:
            scope.enter_context(self._deadline())
            scope.enter_context(interrupt.interrupted_by(self._cancellation.check))
            signer = scope.enter_context(self._signer())
            workspace = scope.enter_context(self._workspace())
            with self._phases.entered(ProgressReason.FETCHING_SOURCE, "source"):
                fetcher = self._fetcher(workspace)
                context = fetcher.fetch(self._request.source)
                self._requested = self._requested.filled(run_values(context.revision, self._started))
                kinds = self._requested.contexts.kinds
                planned, files = read_plan(self._requested, context, kinds, self._reporter)
                files = fetcher.visible(files)
                fetcher.named(planned.used_contexts)
            parts = self._parts(workspace, planned, (context, files), fetcher, scope, signer)
            report_lint(parts.evaluated, files, self._reporter)
            self._reporter.planned(len(parts.evaluated.steps))
            if self._is_done_without_steps(parts):
                return self._result(parts, StepCounts(), context)
            attempt, image = self._attempts(parts)
            result = self._result(parts, attempt.counts(), context)
            return result if image is None else self._with_image(result, image)

    def _is_done_without_steps(self, parts: BuildParts) -> bool:
        """Show the plan, or unpack the base images, where that is all that is wanted."""
        if self._inputs.plan is not None:
            for line in plan_lines(parts.evaluated):
                self._inputs.plan(line)
            return True
        if self._inputs.unpack_only:
            images = parts.sources.images.all()
            for image in images:
                parts.store.prefetch(image.layers)
            for image in images:
                parts.store.directories(image.layers)
        return self._inputs.unpack_only

    def _fetcher(self, workspace: Workspace) -> ContextFetcher:
        work, inputs = self._request.work_directory, self._inputs
        return ContextFetcher(
            self._requested.contexts,
            Means(
                functools.partial(unpack_context, limit=inputs.max_unpacked),
                inputs.credentials.git,
                self._sources,
                inputs.registries.networks,
                self._pull,
                self._reporter.fetching,
            ),
            lambda: workspace.directory(workspace.new_name("context")),
            lambda directory: own_patterns(directory, work, inputs.cache.path),
        )

    def _pull(self, source: OCISource, directory: str) -> Digest:
        """Put the files of an artifact into a directory, and return the digest of its manifest."""
        inputs, warn = self._inputs, self._reporter.warn
        unpack = functools.partial(unpack_context, limit=inputs.max_unpacked)
        settings, credentials = inputs.registries, inputs.credentials.pull
        with RegistryClient(settings, credentials, warn=warn, cancellation=self._sources) as client:
            try:
                return fetch_artifact(source, directory, client, unpack, self._reporter.fetching)
            except OSError as error:
                raise from_os_error(error, f"cannot unpack {source.reference}") from error

    def _workspace(self) -> Workspace:
        isolation, directory = self._inputs.confinement.isolation, self._request.work_directory
        rootfs = check_work_directory(isolation, self._inputs.rootfs, directory)
        return Workspace(directory, rootfs=rootfs, may_mount=isolation.makes_mounts, warn=self._reporter.warn)

    @contextlib.contextmanager
    def _signer(self) -> Iterator[Signer | None]:
        """Open who signs; a key that cannot be used ends the build before it begins."""
        signing = self._inputs.signing
        if signing is not None and signing.key and self._inputs.confinement.isolation.way == "chroot":
            self._reporter.warn(
                "in a chroot steps share the container with the builder, and can read the key that signs"
            )
        with open_signer(self._inputs, self._cancellation) as signer:
            if signer is not None:
                signer.check(self._requested.destinations[0].repository)
            yield signer

    def _parts(
        self,
        workspace: Workspace,
        planned: BuildPlan,
        context: tuple[FetchedContext, ContextFiles],
        fetcher: ContextFetcher,
        scope: contextlib.ExitStack,
        signer: Signer | None,
    ) -> BuildParts:
        """Resolve base images and make what every attempt needs."""
        usage = cache_usage(self._inputs.cache, scope)
        clients = scope.enter_context(self._clients())
        digests = scope.enter_context(contextlib.closing(FileDigests(workspace.path)))
        pools = self._pools(scope)
        scope.enter_context(clients.abandoned_on_failure())  # before the threads are waited for
        pusher = self._pusher(clients, signer)
        is_checked = self._inputs.outputs.push and not self._request.output.skip_push_permission_check
        with self._phases.entered(ProgressReason.PULLING_BASE, "pull"):
            rights = pusher.check_rights(pools.push) if is_checked else []
            check = functools.partial(check_allowed, rules=self._request.image_rules)
            layouts = self._requested.contexts.layouts
            images = BaseImages(clients.pulling, pools.pull, planned.meant_stage, check, layouts)
            evaluated = evaluate_all(*resolve_bases(planned, images))
            named = fetcher.named(evaluated.plan.used_contexts)  # triggers of base images may use more
            self._tell_unused(evaluated.plan.used_contexts)
            base = evaluated.base_of(evaluated.plan.target)
            is_docker = self._request.output.media_types == "docker"
            refuse_unnamed_layers(base.layers if base else (), docker=is_docker)
            for right in rights:
                right.result()
        warn, networks = self._reporter.warn, self._inputs.registries.networks
        downloads = open_downloads(self._inputs.cache, usage, self._sources, networks)
        remote = RemoteSources(workspace, downloads, pools.pull, self._sources, networks)
        return BuildParts(
            requested=self._requested,
            evaluated=evaluated,
            workspace=workspace,
            store=LayerStore(
                self._layers_directory(workspace),
                clients.pulling,
                pools.pull,
                self._reporter,
                usage,
                self._inputs.max_unpacked,
                BaseVolumes(self._inputs.volumes, images.resolved),
            ),
            sources=StepSources(
                context[1], named, images, remote, digests, {"": context[0], **fetcher.fetched}
            ),
            registries=Registries(clients, pusher),
            caches=open_caches(
                self._requested.request, self._inputs, usage, (clients.caching, images), evaluated.plan, warn
            ),
            pools=pools,
            progress=Progress(self._reporter, self._phases),
        )

    def _clients(self) -> RegistryClients:
        inputs = self._inputs
        return RegistryClients(
            inputs.registries, inputs.pulling, inputs.credentials, self._reporter.warn, self._cancellation
        )

    def _pusher(self, clients: RegistryClients, signer: Signer | None) -> Pusher:
        return Pusher(
            clients.pushing,
            clients.pulling,
            self._requested.destinations,
            self._reporter,
            signer,
            immutable_tags_stay=self._inputs.outputs.immutable_tags_stay,
        )

    def _tell_unused(self, used: frozenset[str]) -> None:
        for name in self._requested.contexts.unused(used):
            self._reporter.warn(f"the named context {name} is used by no stage that is built")

    def _pools(self, scope: contextlib.ExitStack) -> Pools:
        return Pools(
            **{
                name: scope.enter_context(
                    ThreadPoolExecutor(count, name, interrupt.interrupt_thread, (self._cancellation.check,))
                )
                for name, count in _POOLS.items()
            }
        )

    def _layers_directory(self, workspace: Workspace) -> str:
        if self._inputs.cache.path is None:
            return workspace.directory(LAYERS)
        return os.path.join(self._inputs.cache.path, LAYERS)

    def _attempts(self, parts: BuildParts) -> tuple[Attempt, FinishedImage | None]:
        """Build; when a cached layer turns out broken, say so and build without it."""
        distrusted: frozenset[Digest] = frozenset()
        while True:
            attempt = Attempt(parts, self._cancellation, distrusted, self._started)
            try:
                return attempt, attempt.run()
            except NOT_FINAL:
                self._cancellation.check()
                broken = attempt.broken_layers()
                if not broken:
                    raise
                for layer in broken:
                    digest = layer.descriptor.digest
                    self._reporter.warn(f"the cached layer {digest} is broken; its step runs again")
                    distrusted |= {digest}
                    if isinstance(layer, WrittenLayer):  # or it would stay, where the step makes it again
                        Path(layer.path).unlink(missing_ok=True)

    def _result(self, parts: BuildParts, steps: StepCounts, context: FetchedContext) -> BuildSucceeded:
        return BuildSucceeded(
            platform=str(self._requested.platform),
            source_revision=context.revision,
            source_digest=context.digest,
            base_images=_base_images(parts),
            steps=steps,
            durations=self._phases.durations(),
            warnings=tuple(self._reporter.warnings),
            sizes=Sizes(pushed=parts.registries.pusher.sent, pulled=self._reporter.arrived_bytes),
        )

    def _with_image(self, result: BuildSucceeded, image: FinishedImage) -> BuildSucceeded:
        digest, attestation = image.named.digest, image.attestation if image.attested else None
        repositories = dict.fromkeys(str(d.repository) for d in self._requested.pushed_to)
        return result.model_copy(
            update={
                "digest": str(digest),
                "images": tuple(f"{repository}@{digest}" for repository in repositories),
                "references": tuple(map(str, self._requested.pushed_to)),
                "config_digest": str(image.config_descriptor.digest),
                "attestation": str(attestation.descriptor.digest) if attestation else None,
                "layers": len(image.layers),
                "sizes": result.sizes.model_copy(update={"compressed": image.compressed_size}),
            }
        )

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        seconds = self._request.timeout_seconds
        if seconds is None:
            yield
            return
        error = BuildTimeoutError(f"the build did not finish within {seconds} s", hint="raise the timeout")
        timer = threading.Timer(seconds, self._cancellation.cancel, [error])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _base_images(parts: BuildParts) -> tuple[BaseImage, ...]:
    """Return the images that the build resolved; the manifest of those that a volume can bring next time."""
    return tuple(
        BaseImage(
            reference=image.reference,
            digest=str(image.descriptor.digest),
            manifest=str(image.manifest) if parts.store.can_be_mounted(image.layers) else None,
        )
        for image in parts.sources.images.resolved()
    )
