"""Executes one step in a writable root, whatever its kind."""

from __future__ import annotations

from typing import assert_never

from strake_builder.cache.definitions import FileStep
from strake_builder.frontend.model.steps import AddStep, CopyStep, RunStep, WorkdirStep
from strake_builder.isolation.sandboxes import Sandbox
from strake_builder.progress.reporter import Reporter
from strake_builder.rootfs.copying.deferred import DeferredFiles
from strake_builder.rootfs.files.accounts import find_owner
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory
from strake_builder.rootfs.files.remove import remove_tree
from strake_builder.solve.fetching.remote import RemoteSources
from strake_builder.solve.steps.add import AddTools, execute_add
from strake_builder.solve.steps.copy import CopyTarget, execute_copy, resolve_owner
from strake_builder.solve.steps.emulation import ForeignPrograms
from strake_builder.solve.steps.file_origins import FileOrigins
from strake_builder.solve.steps.mounts import MountMaker
from strake_builder.solve.steps.run import execute_run
from strake_builder.solve.workspace.workspace import Workspace
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.platform import Platform


@dataclass(frozen=True, slots=True)
class RunTools:
    """What RUN needs.

    Attributes:
        sandbox: runs its process.
        mounts: prepares its mounts.
        foreign: knows which platforms' programs run here.
    """

    sandbox: Sandbox
    mounts: MountMaker
    foreign: ForeignPrograms


@dataclass(frozen=True, slots=True)
class StepExecutor:
    """Executes steps; shared by all stages of a build. Thread-safe.

    Attributes:
        workspace: where temporary directories are made.
        origins: opens what steps read.
        remote: fetches what ADD names.
        run: for RUN.
        reporter: hears of output, and of patterns that match nothing.
        max_unpacked: bytes that an archive may take on disk.
    """

    workspace: Workspace
    origins: FileOrigins
    remote: RemoteSources
    run: RunTools
    reporter: Reporter
    max_unpacked: int

    def await_sources(self, step: FileStep) -> None:
        """Wait until every stage that a step takes files from is done.

        Raises:
            BuildError: one of them failed.
        """
        self.origins.await_stages(step)

    def execute(
        self,
        step: FileStep,
        number: int,
        platform: Platform,
        root_path: str,
        deferred: DeferredFiles | None = None,
    ) -> None:
        """Execute a step.

        Args:
            step: what to do.
            number: of the step in progress events.
            platform: of the stage.
            root_path: the writable root; with `--link` an empty one.
            deferred: takes files that need not be in the root; None where all must.

        Raises:
            BuildError: the step failed.
            OSError: the file system refused, for example because it is full.
        """
        if isinstance(step, RunStep):
            self._run(step, number, platform, root_path)
            return
        with Root(root_path) as root:
            match step:
                case CopyStep():
                    owner = resolve_owner(step.chown, root)
                    execute_copy(
                        step, owner, CopyTarget(root, deferred), self.origins, platform, self.reporter
                    )
                case AddStep():
                    self._add(step, platform, root)
                case WorkdirStep():
                    owner = find_owner(root, step.user) if step.user else None
                    path = step.path.encode(errors="surrogateescape")
                    root.make_directories(path, NewDirectory(owner=owner))
                case _:
                    assert_never(step)

    def _run(self, step: RunStep, number: int, platform: Platform, root_path: str) -> None:
        def sink(stream: str, line: str) -> None:
            self.reporter.output(number, stream, line)

        self.run.foreign.require(platform)
        room = self.workspace.room
        execute_run(step, root_path, platform, self.run.sandbox, self.run.mounts, room, sink)

    def _add(self, step: AddStep, platform: Platform, root: Root) -> None:
        owner = resolve_owner(step.chown, root)
        scratch = self.workspace.directory(self.workspace.new_name("add"))
        tools = AddTools(root, scratch, self.origins, platform, self.remote, self.max_unpacked)
        execute_add(step, owner, tools, self.reporter)
        remove_tree(scratch)
