"""From a context to the image of one platform: plan, base images, attempts.

A build for several platforms prepares all, so that what is wrong with one ends it before work begins, then
makes one after the other. Each has its own plan: a Dockerfile may do for one what it does not for another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from strake_api.models.verification import CheckResult
from strake_api.reasons import ProgressReason
from strake_api.result import BaseImage, StepCounts
from strake_builder import interrupt
from strake_builder.cache.usage import Usage
from strake_builder.context.filtered import ContextFiles
from strake_builder.frontend.model.planned import BuildPlan
from strake_builder.frontend.model.steps import GitSource, UrlSource
from strake_builder.layers.blobs import WrittenLayer
from strake_builder.output.push import Pusher
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.copying.content_digest import FileDigests
from strake_builder.solve.attempt import NOT_FINAL, Attempt
from strake_builder.solve.attesting.attest import redaction_of, stores_attestations
from strake_builder.solve.attesting.materials import materials_of
from strake_builder.solve.caching.open import cache_usage, open_caches, open_remote_sources
from strake_builder.solve.clients import RegistryClients
from strake_builder.solve.fetching.moments import Moments
from strake_builder.solve.fetching.remote import RemoteSources
from strake_builder.solve.images.assemble import FinishedImage, refuse_unnamed_layers
from strake_builder.solve.images.base import BaseImages
from strake_builder.solve.images.store import LayerStore
from strake_builder.solve.images.volumes import BaseVolumes
from strake_builder.solve.parts import BuildParts, Pools, Registries, StepSources, Surroundings
from strake_builder.solve.phases import Phases
from strake_builder.solve.planning.bases import resolve_bases
from strake_builder.solve.planning.evaluation import EvaluatedBuild, evaluate_all
from strake_builder.solve.planning.reading import read_plan, report_lint
from strake_builder.solve.planning.requested import Requested
from strake_builder.solve.planning.shown import plan_lines
from strake_builder.solve.policy.signed import check_signed
from strake_builder.solve.policy.sources import permitted_image, permitted_source, permitted_steps
from strake_builder.solve.steps.emulation import ForeignPrograms
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import Digest
from strake_oci.spec.platform import host as host_platform
from strake_oci.spec.reference import Reference

if TYPE_CHECKING:
    from strake_builder.solve.planning.checks import PreparedCheck
    from strake_builder.solve.planning.scan import Scan

_POOLS: Final[Mapping[str, int]] = MappingProxyType({"pull": 4, "cache": 2, "export": 2, "push": 4})
"""Threads for each kind of background work."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made for one platform.

    Attributes:
        requested: what was to be built.
        base_images: those that it was built on.
        steps: how its steps ended.
        image: None where none was wanted.
        checks: how its checks ended.
        sent: bytes that went to registries.
    """

    requested: Requested
    base_images: tuple[BaseImage, ...]
    steps: StepCounts
    image: FinishedImage | None
    sent: int
    checks: tuple[CheckResult, ...] = ()


@dataclass(frozen=True, slots=True)
class _Means:
    """What fetches: needed before the plan is made, since that may have to know the time of something.

    Attributes:
        usage: of the cache directory; None without one.
        clients: talk to registries.
        digests: remembers those of files that steps read.
        pools: threads.
        remote: fetches what ADD names.
    """

    usage: Usage | None
    clients: RegistryClients
    digests: FileDigests
    pools: Pools
    remote: RemoteSources


def clients_for(requested: Requested, around: Surroundings) -> RegistryClients:
    """Return what talks to the registries of a build."""
    inputs, warn = requested.inputs, around.progress.reporter.warn
    return RegistryClients(inputs.registries, inputs.pulling, inputs.credentials, warn, around.cancellation)


def pusher_for(requested: Requested, around: Surroundings, clients: RegistryClients) -> Pusher:
    """Return what pushes to the destinations; an image that is one of several gets no tag there."""
    return Pusher(
        clients.pushing,
        clients.pulling,
        requested.destinations,
        around.progress.reporter,
        around.signer,
        immutable_tags_stay=requested.inputs.outputs.immutable_tags_stay,
        tags=not requested.by_digest,
    )


class ImageBuild:
    """The build of one image, for one platform.

    Args:
        requested: what to build.
        around: what it shares with the images for other platforms.
    """

    def __init__(self, requested: Requested, around: Surroundings) -> None:
        self._requested = requested
        self._request = requested.request
        self._inputs = requested.inputs
        self._around = around
        self._reporter: Reporter = around.progress.reporter
        self._phases: Phases = around.progress.phases
        self._cancellation = around.cancellation

    def prepare(self, scope: contextlib.ExitStack) -> BuildParts:
        """Read the Dockerfile and resolve base images; no step has begun then.

        Args:
            scope: holds what `run` needs, and what it returns does not.

        Raises:
            BuildError: there will be no image; with the reason.
        """
        fetcher, means = self._around.fetcher, self._means(scope)
        with self._phases.entered(ProgressReason.FETCHING_SOURCE, "source"):
            kinds, context = self._requested.contexts.kinds, self._around.context
            moments = Moments(self._around.moments, means.remote, self._permitted_source)
            planned, files = read_plan(self._requested, context, kinds, moments.find, self._reporter)
            self._requested = self._requested.dated(planned.epoch)
            self._request = self._requested.request
            files = fetcher.visible(files)
            fetcher.named(planned.used_contexts)
        parts = self._parts(planned, files, means)
        report_lint(parts.written, files, self._reporter)
        # With caches, it may be that nothing must run.
        if self._requested.in_index and not parts.caches.enabled:
            ForeignPrograms(parts.workspace.path).require_all(parts.evaluated)
        return parts

    def run(self, parts: BuildParts) -> Made:
        """Build, and push.

        Args:
            parts: what `prepare` returned.

        Raises:
            BuildError: there is no image; with the reason.
        """
        self._reporter.planned(len(parts.evaluated.steps) + len(parts.checks))
        if self._is_done_without_steps(parts):
            return self._made(parts, StepCounts(), None)
        attempt, image = self._attempts(parts)
        if self._inputs.observer.wants_materials:
            self._inputs.observer.used(materials_of(parts))
        return replace(self._made(parts, attempt.counts(), image), checks=attempt.checks)

    def _made(self, parts: BuildParts, steps: StepCounts, image: FinishedImage | None) -> Made:
        return Made(self._requested, _base_images(parts), steps, image, parts.registries.pusher.sent)

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

    def _store(
        self, clients: RegistryClients, pools: Pools, usage: Usage | None, images: BaseImages
    ) -> LayerStore:
        return LayerStore(
            self._around.layers,
            clients.pulling,
            pools.pull,
            self._reporter,
            usage,
            self._inputs.max_unpacked,
            BaseVolumes(self._inputs.volumes, images.resolved),
        )

    def _remote(self, usage: Usage | None, pool: Executor) -> RemoteSources:
        around, reporter, redaction = self._around, self._reporter, redaction_of(self._requested)

        def watched(source: str, done: int, total: int | None) -> None:
            reporter.fetching(redaction.text(source), done, total)  # a secret argument may be in a URL's path

        opened = (around.workspace, usage, pool, around.sources)
        return open_remote_sources(self._inputs, *opened, watched, reporter.warn)

    def _means(self, scope: contextlib.ExitStack) -> _Means:
        """Open what fetches."""
        usage = cache_usage(self._inputs.cache, scope)
        clients = scope.enter_context(clients_for(self._requested, self._around))
        digests = scope.enter_context(contextlib.closing(FileDigests(self._around.workspace.path)))
        pools = self._pools(scope)
        scope.enter_context(clients.abandoned_on_failure())  # before the threads are waited for
        return _Means(usage, clients, digests, pools, self._remote(usage, pools.pull))

    def _parts(
        self,
        planned: BuildPlan,
        files: ContextFiles,
        means: _Means,
    ) -> BuildParts:
        """Resolve base images and make what every attempt needs."""
        workspace, fetcher = self._around.workspace, self._around.fetcher
        usage, clients, pools = means.usage, means.clients, means.pools
        pusher = pusher_for(self._requested, self._around, clients)
        is_checked = self._inputs.outputs.push and not self._request.output.skip_push_permission_check
        with self._phases.entered(ProgressReason.PULLING_BASE, "pull"):
            rights = pusher.check_rights(pools.push) if is_checked else []
            layouts = self._requested.contexts.layouts
            trusted = partial(check_signed, clients.pulling, self._request.image_rules)
            meant = planned.meant_stage
            images = BaseImages(clients.pulling, pools.pull, meant, self._permitted, trusted, layouts)
            evaluated = evaluate_all(*resolve_bases(planned, images))
            evaluated = permitted_steps(evaluated, self._request.source_policies)
            named = fetcher.named(evaluated.plan.used_contexts)  # triggers of base images may use more
            self._tell_unused(evaluated.plan.used_contexts)
            # Apart from the images of the Dockerfile: what is built on is reported, and attested.
            tools = BaseImages(clients.pulling, pools.pull, lambda _: "", self._permitted)
            evaluated, scan = self._with_scan(evaluated, tools)
            checks = self._checks(tools, clients, pools)
            base = evaluated.base_of(evaluated.plan.target)
            is_docker = self._request.output.media_types == "docker"
            refuse_unnamed_layers(base.layers if base else (), docker=is_docker)
            for right in rights:
                right.result()
        caches = (self._request, self._inputs, usage, (clients.caching, images), evaluated.plan)
        fetched = {"": self._around.context, **fetcher.fetched}
        return BuildParts(
            requested=self._requested,
            evaluated=evaluated,
            workspace=workspace,
            store=self._store(clients, pools, usage, images),
            sources=StepSources(files, named, images, means.remote, means.digests, fetched),
            registries=Registries(clients, pusher),
            caches=open_caches(*caches, self._reporter.warn),
            pools=pools,
            progress=self._around.progress,
            kept_mounts=self._around.kept_mounts,
            scan=scan,
            checks=checks,
        )

    def _with_scan(self, evaluated: EvaluatedBuild, tools: BaseImages) -> tuple[EvaluatedBuild, Scan | None]:
        """Add the stage that makes an SBOM, where one is wanted and can be stored."""
        asked = self._request.output.attestations
        if asked is None or asked.sbom is None:
            return evaluated, None
        if not self._inputs.observer.wants_sboms and not stores_attestations(self._requested):
            return evaluated, None
        from strake_builder.solve.planning.scan import with_scan

        platform = host_platform()
        return with_scan(evaluated, tools.get(asked.sbom.generator, platform), platform)

    def _checks(self, tools: BaseImages, clients: RegistryClients, pools: Pools) -> tuple[PreparedCheck, ...]:
        """Resolve the images of checks, so that what cannot be had ends the build before work begins."""
        if not (self._request.verify or self._request.required_checks):
            return ()
        from strake_builder.solve.planning.check_images import prepared_checks

        required = BaseImages(clients.pulling, pools.pull, lambda _: "")
        isolation, given = self._inputs.confinement.isolation, self._inputs.run.secrets
        return prepared_checks(self._request, tools, required, isolation, given)

    def _permitted_source(self, source: UrlSource | GitSource) -> UrlSource | GitSource:
        return permitted_source(source, self._request.source_policies)

    def _permitted(self, reference: Reference) -> Reference:
        return permitted_image(reference, self._request.source_policies, self._request.image_rules)

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

    def _attempts(self, parts: BuildParts) -> tuple[Attempt, FinishedImage | None]:
        """Build; when a cached layer turns out broken, say so and build without it."""
        distrusted: frozenset[Digest] = frozenset()
        while True:
            attempt = Attempt(parts, self._cancellation, distrusted, self._around.started)
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
                        with contextlib.suppress(OSError):  # a layout may be mounted read-only
                            Path(layer.path).unlink(missing_ok=True)


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
