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
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from strake_api.reasons import ProgressReason
from strake_api.request import BuildRequest
from strake_api.result import BaseImage, BuildSucceeded, Durations, Sizes, StepCounts
from strake_builder.context.fetch import FetchedContext, fetch_context
from strake_builder.context.filtered import (
    ContextFiles,
    read_dockerfile,
    read_ignore_patterns,
    read_local,
)
from strake_builder.errors import BuildTimedOut, DockerfileError, InvalidRequest, Location
from strake_builder.frontend.ignore import IgnoreMatcher
from strake_builder.frontend.lint import fails_on_warnings, lint_plan
from strake_builder.frontend.parse import parse
from strake_builder.frontend.plan import plan
from strake_builder.frontend.planned import BuildPlan
from strake_builder.frontend.steps import ConfigStep
from strake_builder.output.push import Pusher
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.inside import Root
from strake_builder.rootfs.syscalls import pivot_root_refused
from strake_builder.sandbox.crun import Crun
from strake_builder.solve.base_images import BaseImages
from strake_builder.solve.cancellation import Cancellation
from strake_builder.solve.evaluation import EvaluatedBuild, evaluate_all
from strake_builder.solve.export import LayerExporter, layer_format
from strake_builder.solve.file_origins import FileOrigins
from strake_builder.solve.image import FinishedImage, finish_image, image_notes, refuse_unnamed_layers
from strake_builder.solve.image_layers import PulledLayer
from strake_builder.solve.inputs import BuildInputs
from strake_builder.solve.layer_store import LayerStore
from strake_builder.solve.outputs import FileOutputs
from strake_builder.solve.run_mounts import MountMaker
from strake_builder.solve.stage import StageResult, StageTools
from strake_builder.solve.stages import StageRuns
from strake_builder.solve.workspace import Workspace
from strake_oci.digest import Digest
from strake_oci.errors import InvalidValueError
from strake_oci.platform import Platform
from strake_oci.platform import host as host_platform
from strake_oci.reference import Reference
from strake_oci.registry.client import RegistryClient
from strake_oci.registry.settings import ClientSettings

_PULLS: Final = 4
_EXPORTS: Final = 2
_PUSHES: Final = 4
_STAGES: Final = max(2, os.cpu_count() or 2)


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
        self._destinations = _destinations(request)
        if inputs.push and not self._destinations:
            raise InvalidRequest("the request has no destination", hint="name at least one")
        self._platform = _platform(request)
        self._began = time.monotonic()
        self._seconds: dict[str, float] = {}

    def run(self) -> BuildSucceeded:
        """Build and push.

        Raises:
            BuildError: there is no image and no tag; with the reason.
        """
        with contextlib.ExitStack() as scope:
            scope.enter_context(self._deadline())
            workspace = scope.enter_context(self._workspace())
            with self._phase(ProgressReason.FETCHING_SOURCE, "source"):
                context = fetch_context(self._request.source, workspace.directory("context"))
                planned, files = self._plan(context)
            settings = ClientSettings.insecure(*self._request.registries.insecure)
            client = scope.enter_context(RegistryClient(settings, self._inputs.pull_credentials))
            pushing = scope.enter_context(RegistryClient(settings, self._inputs.push_credentials))
            self._cancellation.on_cancel(client.close)
            self._cancellation.on_cancel(pushing.close)
            pulls = scope.enter_context(ThreadPoolExecutor(_PULLS, "pull"))
            exports = scope.enter_context(ThreadPoolExecutor(_EXPORTS, "export"))
            with self._phase(ProgressReason.PULLING_BASE, "pull"):
                images = BaseImages(client, pulls, planned.meant_stage)
                evaluated = evaluate_all(planned, images)
                base = evaluated.base_of(evaluated.plan.target)
                is_docker = self._request.output.media_types == "docker"
                refuse_unnamed_layers(base.layers if base else (), docker=is_docker)
            self._lint(evaluated, files)
            self._reporter.planned(len(evaluated.steps))
            pusher = Pusher(pushing, client, self._destinations, self._reporter)
            with self._phase(ProgressReason.BUILDING, "build"):
                runs = StageRuns(evaluated, self._cancellation, _STAGES)
                store = LayerStore(self._layers_directory(workspace), client, pulls, self._reporter)
                origins = FileOrigins(workspace, files, store, images, runs.layers)
                tools = self._tools(workspace, store, origins, exports, pusher)
                result = runs.run(tools)
            with self._phase(ProgressReason.PUSHING, "push"):
                image = self._finish(evaluated, result)
                self._write_files(image, result, tools, client)
                if self._inputs.push:
                    self._push(image, pusher)
            return self._succeeded(evaluated, images, image, context, pusher)

    def _workspace(self) -> Workspace:
        return Workspace(self._request.work_directory, rootfs=self._inputs.rootfs, warn=self._reporter.warn)

    def _plan(self, context: FetchedContext) -> tuple[BuildPlan, ContextFiles]:
        with Root(context.directory) as root:

            def inside(path: str, limit: int) -> bytes | None:
                return root.read_file(os.fsencode(path), limit)

            named = self._inputs.dockerfile_path
            path, read = (named, read_local) if named else (self._request.dockerfile, inside)
            text = read_dockerfile(path, read)
            patterns = read_ignore_patterns(((f"{path}.dockerignore", read), (".dockerignore", inside)))
        dockerfile = parse(text, self._request.dockerfile)
        planned = plan(
            dockerfile,
            target=self._request.target,
            build_args={argument.name: argument.value for argument in self._request.args},
            platform=self._platform,
            build_platform=host_platform(),
        )
        for name in planned.unused_build_args:
            self._reporter.warn(f"the build argument {name} is used by no ARG", self._request.dockerfile)
        return planned, ContextFiles(context.directory, patterns)

    def _lint(self, evaluated: EvaluatedBuild, files: ContextFiles) -> None:
        """Report what `strake lint` would; a Dockerfile may ask for it to be fatal."""
        planned = evaluated.plan
        configs = {image.reference: image.config.config for image in evaluated.images.values()}
        ignore = IgnoreMatcher(files.patterns) if files.patterns else None
        warnings = lint_plan(planned, all_stages=False, base_configs=configs, ignore=ignore)
        for warning in warnings:
            message = f"{warning.message} [{warning.rule.name}]"
            self._reporter.warn(message, warning.file, warning.span.first)
        if warnings and fails_on_warnings(planned.dockerfile):
            first = warnings[0]
            raise DockerfileError(
                f"{first.message} [{first.rule.name}]",
                hint="the Dockerfile asks for warnings to be errors (# check=error=true)",
                location=Location(first.file, first.span.first, first.source_lines[0]),
            )

    def _tools(
        self, workspace: Workspace, store: LayerStore, origins: FileOrigins, exports: Executor, pusher: Pusher
    ) -> StageTools:
        pivot_root = not pivot_root_refused()
        crun = Crun(workspace.directory("run"), program=self._inputs.runtime, pivot_root=pivot_root)
        self._cancellation.on_cancel(crun.stop)
        return StageTools(
            workspace=workspace,
            store=store,
            origins=origins,
            mounts=MountMaker(workspace, self._inputs, origins),
            crun=crun,
            exporter=LayerExporter(
                workspace,
                exports,
                self._cancellation,
                pusher if self._inputs.push else None,
                layer_format(self._request),
            ),
            reporter=self._reporter,
            cancellation=self._cancellation,
        )

    def _layers_directory(self, workspace: Workspace) -> str:
        if self._inputs.cache_directory is None:
            return workspace.directory("layers")
        directory = os.path.join(self._inputs.cache_directory, "layers")
        os.makedirs(directory, exist_ok=True)
        return directory

    def _finish(self, evaluated: EvaluatedBuild, result: StageResult) -> FinishedImage:
        target = evaluated.plan.target
        base = evaluated.base_of(target)
        return finish_image(
            result,
            evaluated.stages[target],
            base.config if base else None,
            self._platform,
            image_notes(self._request),
        )

    def _write_files(
        self, image: FinishedImage, result: StageResult, tools: StageTools, client: RegistryClient
    ) -> None:
        outputs = FileOutputs(
            tools.workspace,
            tools.store,
            client,
            self._reporter,
            self._destinations,
            self._inputs.file_mask,
            self._request.epoch,
        )
        outputs.write(self._inputs.files, image, result.layers)

    def _push(self, image: FinishedImage, pusher: Pusher) -> None:
        base = [layer for layer in image.layers if isinstance(layer, PulledLayer)]
        with ThreadPoolExecutor(_PUSHES, "push") as pool:
            copies = [pool.submit(pusher.copy_blob, layer.repository, layer.descriptor) for layer in base]
            for copy in copies:
                copy.result()
        self._cancellation.check()
        pusher.push_manifest(image.config, image.config_descriptor, image.manifest, image.media_type)

    def _succeeded(
        self,
        evaluated: EvaluatedBuild,
        images: BaseImages,
        image: FinishedImage,
        context: FetchedContext,
        pusher: Pusher,
    ) -> BuildSucceeded:
        run = sum(not isinstance(step, ConfigStep) for step in evaluated.steps)
        digest = Digest.sha256(image.manifest)
        pushed = self._destinations if self._inputs.push else ()
        repositories = dict.fromkeys(str(d.repository) for d in pushed)
        self._seconds["total"] = time.monotonic() - self._began
        return BuildSucceeded(
            platform=str(self._platform),
            source_revision=context.revision,
            base_images=tuple(
                BaseImage(reference=i.reference, digest=str(i.descriptor.digest)) for i in images.resolved()
            ),
            steps=StepCounts(total=len(evaluated.steps), run=run),
            durations=Durations(**{name: round(seconds, 3) for name, seconds in self._seconds.items()}),
            warnings=tuple(self._reporter.warnings),
            digest=str(digest),
            images=tuple(f"{repository}@{digest}" for repository in repositories),
            config_digest=str(image.config_descriptor.digest),
            layers=len(image.layers),
            sizes=Sizes(compressed=image.compressed_size, pushed=pusher.sent),
        )

    @contextlib.contextmanager
    def _phase(self, reason: ProgressReason, name: str) -> Iterator[None]:
        self._cancellation.check()
        self._reporter.phase(reason)
        started = time.monotonic()
        yield
        self._seconds[name] = time.monotonic() - started

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        seconds = self._request.timeout_seconds
        if seconds is None:
            yield
            return
        error = BuildTimedOut(f"the build did not finish within {seconds} s", hint="raise the timeout")
        timer = threading.Timer(seconds, self._cancellation.cancel, [error])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _destinations(request: BuildRequest) -> tuple[Reference, ...]:
    references = []
    for text in request.output.destinations:
        try:
            reference = Reference.parse(text).with_default_tag()
        except InvalidValueError as error:
            raise InvalidRequest(
                f"the destination {text!r} is no image reference: {error.message}"
            ) from error
        if reference.digest is not None:
            raise InvalidRequest(
                f"the destination {text!r} has a digest, which only the build can say", hint="name a tag"
            )
        references.append(reference)
    return tuple(references)


def _platform(request: BuildRequest) -> Platform:
    here = host_platform()
    if request.platform is None:
        return here
    try:
        wanted = Platform.parse(request.platform)
    except InvalidValueError as error:
        raise InvalidRequest(error.message, hint=error.hint) from error
    if (wanted.os, wanted.architecture) != (here.os, here.architecture):
        raise InvalidRequest(
            f"this builder runs on {here} and cannot build for {wanted}",
            hint="run the build on a node of that architecture",
        )
    return wanted
