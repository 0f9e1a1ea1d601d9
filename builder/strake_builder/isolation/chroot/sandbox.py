"""Runs RUN steps without a namespace: at the container's root, or confined to their tree by chroot(2)."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from strake_builder.errors import StepError
from strake_builder.isolation.chroot.placed import placed
from strake_builder.isolation.chroot.presented import presented
from strake_builder.isolation.chroot.renamed import Renamed
from strake_builder.isolation.processes.spawner import Command, Spawned, Spawner
from strake_builder.rootfs.mounts.device_nodes import DEVICES
from strake_builder.sandbox.children import GRACE_SECONDS, Children
from strake_builder.sandbox.crun import Outcome
from strake_builder.sandbox.output_lines import LineSink, OutputLines
from strake_builder.sandbox.process import Bind, Network, Process, SandboxMount
from strake_oci.name_lookup import NAMES


def no_network_error() -> StepError:
    """Return the refusal of `RUN --network=none`, which only a network namespace gives."""
    return StepError(
        "RUN --network=none cannot be had in the isolation chroot: no network can be taken away",
        hint="leave it out, or let the builder have user namespaces (--isolation nested)",
    )


class Chroot:
    """Runs processes in roots. Thread-safe.

    Args:
        directory: an existing directory on the file system of the roots.
        spawner: starts them.
        warn: called with each warning.
        adopt: called with paths in a root that were renamed to and fro, not touched (`Snapshotter.adopt`).
        in_use: paths that the builder works with; None where roots stay where they are. Else a root is
            moved to the container's own for the time of a step, which then has that to itself: one step at
            a time.
        in_sight: paths that others in the container use, where roots are moved.
    """

    mounts_devices: Final = False

    def __init__(
        self,
        directory: str,
        spawner: Spawner,
        warn: Callable[[str], None],
        adopt: Callable[[str, Sequence[bytes]], None],
        in_use: Sequence[str] | None,
        in_sight: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._spawner = spawner
        self._warn = warn
        self._adopt = adopt
        self._in_use = in_use
        self._in_sight = in_sight
        self._in_place = in_use is not None
        self._root = threading.Lock()
        self._touched: dict[str, set[bytes]] = {}
        self._children: Children[Spawned] = Children()

    def run(self, process: Process, root: str, sink: LineSink) -> Outcome:
        """Run a process to its end, passing its output on line by line.

        Args:
            process: what to run.
            root: absolute path of its root file system.
            sink: gets each line.

        Raises:
            StepError: the process needs what only namespaces give.
            InternalError: the sandbox was stopped before the process began.
        """
        if process.network is Network.NONE:
            raise no_network_error()
        renamed = Renamed()
        with contextlib.ExitStack() as scope:
            scope.callback(lambda: self._adopt_untouched(root, renamed))
            path = scope.enter_context(self._shown(root, renamed, process.working_dir))
            mounts = process.mounts if self._in_place else (*self._devices(scope), *process.mounts)
            scope.enter_context(placed(mounts, path, renamed, shares_root=self._in_place))
            identity = process.identity
            environment = tuple(
                (name, value) for name, _, value in (e.partition("=") for e in process.environment)
            )
            command = Command(
                argv=process.argv,
                environment=environment,
                directory=process.working_dir,
                root=None if self._in_place else path,
                user=(identity.uid, identity.gid, identity.groups),
            )
            return self._run(command, OutputLines(sink))

    def _adopt_untouched(self, root: str, renamed: Renamed) -> None:
        """Have what no step touched taken for unchanged; several steps may have one root after another."""
        touched = self._touched.setdefault(root, set())
        touched |= renamed.touched()
        self._adopt(root, [path for path in renamed.untouched() if path not in touched])

    def _devices(self, scope: contextlib.ExitStack) -> tuple[SandboxMount, ...]:
        """Return a /dev for a tree that has none of the container's."""
        directory = scope.enter_context(tempfile.TemporaryDirectory(prefix="dev-", dir=self._directory))
        os.chmod(directory, 0o755)
        os.mkdir(os.path.join(directory, "shm"))
        os.chmod(os.path.join(directory, "shm"), 0o1777)
        try:
            for name, numbers in DEVICES.items():
                path = os.path.join(directory, name)
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*numbers))
                os.chmod(path, 0o666)
        except PermissionError:
            self._warn(
                "RUN steps have no /dev/null here: the container may not make device nodes (CAP_MKNOD)"
            )
        return (Bind(directory, "/dev", read_only=False),)

    @contextlib.contextmanager
    def _shown(self, root: str, renamed: Renamed, works_in: str) -> Iterator[str]:
        if self._in_use is None:
            yield root
            return
        shown = presented(root, self._in_use, renamed, self._warn, works_in=works_in, in_sight=self._in_sight)
        with self._root, NAMES.foreign_files(), shown as path:
            yield path

    def _run(self, command: Command, lines: OutputLines) -> Outcome:
        child, status = self._children.run(
            command.argv[0], lambda out, err: self._spawner.start(command, out, err), lines
        )
        return Outcome(status, lines.tail, child.refusal)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Ask every running process to end (SIGTERM), then make it (SIGKILL); no new one starts after.

        Args:
            grace: seconds between the two.
        """
        self._children.stop(lambda each: each.child.terminate(), lambda each: each.child.kill(), grace=grace)
