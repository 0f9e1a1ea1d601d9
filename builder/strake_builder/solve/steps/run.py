"""Executes RUN: a process in a sandbox over a snapshot, with its identity, environment and mounts."""

from __future__ import annotations

import contextlib
import shlex
from typing import Final

from strake_builder.errors import StepError, redact
from strake_builder.frontend.model.steps import RunStep
from strake_builder.isolation.sandboxes import Sandbox
from strake_builder.rootfs.files.accounts import Account, find_account, split_user
from strake_builder.rootfs.files.inside import Root
from strake_builder.rootfs.files.path_walk import NewDirectory
from strake_builder.rootfs.mounts.mountpoints import MountPoint, mount_points
from strake_builder.sandbox.argument_sizes import refuse_long_arguments
from strake_builder.sandbox.memory import look_at_memory
from strake_builder.sandbox.output_lines import LineSink
from strake_builder.sandbox.process import Identity, Network, Process
from strake_builder.sandbox.run_failure import Surroundings, run_failure
from strake_builder.sandbox.spec import RUNTIME_TARGETS
from strake_builder.solve.steps.mounts import MountMaker, Prepared
from strake_builder.solve.workspace.disk_room import DiskRoom
from strake_oci.spec.platform import Platform

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LOADER_OF_32_BIT_X86: Final = b"/lib/ld-linux.so.2"
_COMMAND_SHOWN: Final = 300


def execute_run(
    step: RunStep,
    root_path: str,
    platform: Platform,
    sandbox: Sandbox,
    mounts: MountMaker,
    room: DiskRoom,
    sink: LineSink,
) -> None:
    """Run a step's command in a writable root.

    Args:
        step: what to run.
        root_path: the root file system.
        platform: of the stage, for mounts from images.
        sandbox: runs the process.
        mounts: prepares its mounts.
        room: of the work directory.
        sink: gets its output.

    Raises:
        RunStepError: the command ended with another status than zero.
        OutOfMemoryError: the kernel killed it for lack of memory.
        OutOfDiskError: it did, or could not be started, and there was no room left.
        StepError: it could not be started: user, mount or program missing.
    """
    if step.security == "insecure":
        raise StepError("RUN --security=insecure is not available: it would need a privileged pod")
    with Root(root_path) as root, contextlib.ExitStack() as scope:
        prepared = mounts.prepare(step.mounts, root, platform, scope)
        mounts.network_files(prepared, step.hostname)
        mounts.scripts(step.files, prepared)
        if sandbox.mounts_devices:
            mounts.devices(prepared, scope)
        user, group = split_user(step.user)
        account = find_account(root, user, group)
        root.make_directories(step.working_dir.encode(errors="surrogateescape"), NewDirectory(owner=(0, 0)))
        runtime = [MountPoint(target.encode(), True, follow=False) for target in RUNTIME_TARGETS]
        scope.enter_context(mount_points(root, [*runtime, *prepared.points]))
        process = _process(step, account, prepared, by_pointer=_makes_sockets_by_pointer(root, platform))
        refuse_long_arguments(process)
        before, started = look_at_memory(), room.look()
        outcome = sandbox.run(process, root_path, sink)
        room.look()
    memory = look_at_memory()
    during = Surroundings(memory.killed_since(before), memory, room.was_full_since(started))
    if (failure := run_failure(outcome, _shown(step), during)) is not None:
        raise failure


def _process(step: RunStep, account: Account, prepared: Prepared, *, by_pointer: bool) -> Process:
    return Process(
        argv=step.command.argv,
        environment=_environment(step, account, prepared),
        working_dir=step.working_dir,
        identity=Identity(account.uid, account.gid, account.groups),
        network=Network.NONE if step.network == "none" else Network.BUILDER,
        mounts=tuple(prepared.mounts),
        hostname=step.hostname,
        makes_sockets_by_pointer=by_pointer,
    )


def _environment(step: RunStep, account: Account, prepared: Prepared) -> tuple[str, ...]:
    """Return the variables of a step, each once.

    As with BuildKit, secrets replace what the image has, an agent does not, and an empty HOME counts as none.
    """
    variables = dict(_variable(entry) for entry in (*step.environment, *step.proxy_environment))
    if prepared.agent:
        variables.setdefault("SSH_AUTH_SOCK", prepared.agent)
    variables |= dict(map(_variable, prepared.environment))
    variables.setdefault("PATH", DEFAULT_PATH)
    variables["HOME"] = variables.get("HOME") or account.home
    return tuple(f"{name}={value}" for name, value in variables.items())


def _variable(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _makes_sockets_by_pointer(root: Root, platform: Platform) -> bool:
    """Say whether an image has 32-bit programs of x86 with the GNU C library, whose loader has one place."""
    return platform.architecture == "386" or (
        platform.architecture == "amd64" and root.stat(_LOADER_OF_32_BIT_X86) is not None
    )


def _shown(step: RunStep) -> str:
    command = redact(shlex.join(step.command.argv))
    return command if len(command) <= _COMMAND_SHOWN else command[:_COMMAND_SHOWN] + "…"
