"""Opens what runs the steps of a build, in its way of isolation."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol, assert_never

from strake_builder.isolation.chroot.container_root import runs_in_place
from strake_builder.isolation.chroot.sandbox import Chroot
from strake_builder.isolation.id_maps import holds, parse_map
from strake_builder.isolation.processes.limits import process_limit
from strake_builder.isolation.processes.spawner import Command, Spawner
from strake_builder.isolation.ways import Isolation
from strake_builder.rootfs.backends.snapshotter import Snapshotter
from strake_builder.rootfs.mounts.syscalls import mount_setattr_refused, pivot_root_refused
from strake_builder.sandbox.children import Child
from strake_builder.sandbox.crun import Crun, Outcome, Runtime
from strake_builder.sandbox.output_lines import LineSink
from strake_builder.sandbox.process import Process
from strake_builder.sandbox.spec import TERMINAL_GROUP, Surroundings
from strake_oci.lazy_dataclass import dataclass


class Sandbox(Protocol):
    """Runs the processes of steps. Thread-safe."""

    @property
    def mounts_devices(self) -> bool:
        """Whether the devices of /dev must be among a process's mounts."""
        ...

    def run(self, process: Process, root: str, sink: LineSink) -> Outcome:
        """Run a process to its end in a root, passing its output on line by line.

        Raises:
            BuildError: it could not be run.
        """
        ...

    def stop(self) -> None:
        """End every running process; no new one starts after."""
        ...


@dataclass(frozen=True, slots=True)
class Confinement:
    """How the steps of a build are confined.

    Attributes:
        isolation: the way.
        spawner: starts them where they have no process IDs of their own; else None.
        runtime: the OCI runtime, for the ways that have namespaces.
    """

    isolation: Isolation = field(default_factory=Isolation)
    spawner: Spawner | None = None
    runtime: str = "crun"


def open_sandbox(
    confinement: Confinement,
    directory: str,
    roots: Snapshotter,
    in_use: Sequence[str],
    warn: Callable[[str], None],
    in_sight: Sequence[str] = (),
) -> Sandbox:
    """Return what runs steps.

    Args:
        confinement: how they are confined.
        directory: an existing directory, for what it writes down.
        roots: makes the roots that steps run in.
        in_use: paths that the builder works with, which must not be moved away.
        warn: called with each warning.
        in_sight: paths that others in the container use.
    """
    isolation, spawner = confinement.isolation, confinement.spawner
    match isolation.way:
        case "root" | "nested":
            return Crun(
                directory,
                program=confinement.runtime,
                pivot_root=not pivot_root_refused(),
                surroundings=Surroundings(
                    recursive=not mount_setattr_refused(),
                    own_proc=isolation.own_proc,
                    devices_open=isolation.way == "root",
                    processes=process_limit(),
                    terminal_group=holds(parse_map(Path("/proc/self/gid_map").read_text()), TERMINAL_GROUP),
                ),
                start=_starting_with(spawner) if spawner is not None and not isolation.own_proc else None,
            )
        case "chroot":
            if spawner is None:
                raise ValueError("chroot needs a spawner")
            used = in_use if runs_in_place() else None
            return Chroot(directory, spawner, warn, roots.adopt, used, in_sight)
        case _:
            assert_never(isolation.way)


def _starting_with(spawner: Spawner) -> Callable[[Runtime, int, int, int], Child]:
    def start(runtime: Runtime, out: int, err: int, log: int) -> Child:
        command = Command(
            argv=runtime.command,
            environment=tuple(runtime.environment.items()),
            directory=os.getcwd(),
            socket_filter=runtime.socket_filter.hex(),
            leader_file=runtime.pid_file,
        )
        return spawner.start(command, out, err, [log])

    return start
