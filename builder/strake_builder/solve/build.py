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
from collections.abc import Iterator
from datetime import UTC, datetime

from strake_api.models.source import OCISource
from strake_api.reasons import ProgressReason
from strake_api.requests.build import BuildRequest
from strake_api.result import BuildSucceeded
from strake_api.values.destinations import run_values
from strake_builder import interrupt
from strake_builder.context.artifact import fetch_artifact
from strake_builder.context.fetch import FetchedContext, Means
from strake_builder.context.own_files import own_patterns
from strake_builder.errors import BuildError
from strake_builder.output.local import LocalIndex
from strake_builder.output.signing import Signer
from strake_builder.progress.reporter import Reporter
from strake_builder.solve.cache_mounts.open import open_kept_mounts
from strake_builder.solve.caching.open import LAYERS
from strake_builder.solve.fetching.archive import unpack_context
from strake_builder.solve.fetching.contexts import ContextFetcher
from strake_builder.solve.fetching.moments import ContextMoments
from strake_builder.solve.image import ImageBuild, Made, clients_for, pusher_for
from strake_builder.solve.images.outputs import local_image, write_file
from strake_builder.solve.inputs import BuildInputs
from strake_builder.solve.parts import BuildParts, Progress, Surroundings
from strake_builder.solve.phases import Phases, deadline
from strake_builder.solve.planning.requested import Requested
from strake_builder.solve.platforms.made import attestations_of, make_index
from strake_builder.solve.policy.sources import permitted_contexts
from strake_builder.solve.result import result_of
from strake_builder.solve.signer import open_signer
from strake_builder.solve.workspace.confined import check_work_directory
from strake_builder.solve.workspace.workspace import Workspace
from strake_builder.unforeseen import from_os_error
from strake_oci.cancellation import Cancellation
from strake_oci.registry.client import RegistryClient
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest


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
        self._request = request = permitted_contexts(request)
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
            scope.enter_context(deadline(self._request.timeout_seconds, self._cancellation))
            scope.enter_context(interrupt.interrupted_by(self._cancellation.check))
            signer = scope.enter_context(self._signer())
            held = scope.enter_context(contextlib.ExitStack())
            workspace = scope.enter_context(self._workspace())
            with self._phases.entered(ProgressReason.FETCHING_SOURCE, "source"):
                fetcher = self._fetcher(workspace, held)
                context = fetcher.fetch(self._request.source)
                self._requested = self._requested.filled(run_values(context.revision, self._started))
            around = Surroundings(
                workspace=workspace,
                layers=self._layers_directory(workspace),
                context=context,
                fetcher=fetcher,
                moments=self._moments(context, fetcher),
                signer=signer,
                progress=Progress(self._reporter, self._phases),
                started=self._started,
                kept_mounts=open_kept_mounts(
                    self._request, self._inputs, workspace, self._reporter, self._cancellation, scope
                ),
                cancellation=self._cancellation,
                sources=self._sources,
            )
            prepared = [self._prepared(each, around, scope) for each in self._requested.for_each()]
            made = [self._made(*each) for each in prepared]
            index = self._index(made, around) if len(made) > 1 else None
            if around.kept_mounts is not None:
                around.kept_mounts.keep()
            return result_of(
                self._requested,
                made,
                index,
                context,
                reporter=self._reporter,
                durations=self._phases.durations(),
            )

    def _prepared(
        self, requested: Requested, around: Surroundings, scope: contextlib.ExitStack
    ) -> tuple[Requested, ImageBuild, BuildParts]:
        image = ImageBuild(requested, around)
        with self._named(requested):
            return requested, image, image.prepare(scope)

    def _made(self, requested: Requested, image: ImageBuild, parts: BuildParts) -> Made:
        with self._named(requested):
            return image.run(parts)

    @contextlib.contextmanager
    def _named(self, requested: Requested) -> Iterator[None]:
        """Where there are several platforms, have steps and failures tell for which they are."""
        if not requested.in_index:
            yield
            return
        platform = str(requested.platform)
        self._reporter.begin_platform(platform)
        try:
            yield
        except BuildError as error:
            error.platform = platform
            raise

    def _index(self, made: list[Made], around: Surroundings) -> Descriptor | None:
        """Write and push the index of images that are at every destination; the tags move with it."""
        index = make_index(made)
        if index is None:
            return None
        content, check = index.serialize(), self._cancellation.check
        with (
            self._phases.entered(ProgressReason.PUSHING, "push"),
            clients_for(self._requested, around) as clients,
        ):
            images = [local_image(each.image, clients.pulling, check) for each in made if each.image]
            local = LocalIndex(tuple(images), content, index.media_type)
            for target in self._requested.index_files:
                write_file(target, local, self._requested.destinations, mask=self._inputs.outputs.file_mask)
            if self._inputs.outputs.push:
                pusher = pusher_for(self._requested, around, clients)
                pusher.push_manifest(content, index.media_type, attested=attestations_of(made))
        return Descriptor.of(index.media_type, content)

    def _moments(self, context: FetchedContext, fetcher: ContextFetcher) -> ContextMoments:
        return ContextMoments(
            (self._request.source, context),
            self._requested.contexts,
            fetcher,
            self._reporter.warn,
            self._cancellation,
            self._inputs.max_unpacked,
        )

    def _fetcher(self, workspace: Workspace, held: contextlib.ExitStack) -> ContextFetcher:
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
            lambda directory: own_patterns(directory, work, inputs.cache.directories),
            functools.partial(_held, held) if inputs.confinement.isolation.way == "chroot" else str,
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

    def _layers_directory(self, workspace: Workspace) -> str:
        if self._inputs.cache.path is None:
            return workspace.directory(LAYERS)
        return os.path.join(self._inputs.cache.path, LAYERS)

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


def _held(scope: contextlib.ExitStack, directory: str) -> str:
    """Return a path that leads to a directory also while a step's tree is in the place of its parents."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    scope.callback(os.close, descriptor)
    return f"/proc/self/fd/{descriptor}"
