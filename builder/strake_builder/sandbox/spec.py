"""Writes a process down as an OCI runtime bundle: what the step may see and do is decided here, purely.

Capabilities, masked and read-only paths are those that Docker, containerd and BuildKit give a container
by default, since Dockerfiles are written against them. Source: OCI runtime-spec 1.1, config.md and
config-linux.md.
"""

from __future__ import annotations

import platform
from typing import Any, Final, assert_never

from strake_builder.sandbox.process import Bind, Device, Network, Process, SandboxMount, Tmpfs
from strake_builder.sandbox.socket_filter import FILTERED_MACHINES
from strake_builder.sandbox.system_calls import seccomp
from strake_oci.lazy_dataclass import dataclass

CAPABILITIES: Final = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

MAX_PROCESSES: Final = 16_384
"""Of a step and its builder together: a fork bomb ends there. The kernel exempts the machine's own root."""

TERMINAL_GROUP: Final = 5
"""`tty` of every distribution, and what Docker and BuildKit mount devpts with."""

SHELL: Final = "/bin/sh"
_REMOUNT: Final = 'cat > /dev/null && exec mount -o remount,bind,nodev "$0"'
"""Reads the state first: a hook that ends before the runtime has written it breaks the runtime's pipe."""
_RAW_SOCKETS: Final = "CAP_NET_RAW"

MASKED_PATHS: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

RUNTIME_TARGETS: Final = ("/proc", "/dev", "/sys")
"""Directories that the runtime mounts over in every sandbox."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the kernel allows the builder, which decides how a step is kept apart.

    Attributes:
        recursive: what is mounted inside a bind can be restricted as the bind itself (Linux 5.12 and newer).
        own_proc: a /proc can be mounted; else a step has the builder's process IDs, and its /proc.
        devices_open: a device node opens the machine's device where a file system is not mounted `nodev`;
            in a user namespace it never does.
        processes: how many a step may have, with the builder's.
        terminal_group: TERMINAL_GROUP can own a file. It must own terminals: before glibc 2.33 one that is
            another group's opens for root alone (grantpt(3)).
    """

    recursive: bool = True
    own_proc: bool = True
    devices_open: bool = True
    processes: int = MAX_PROCESSES
    terminal_group: bool = True


ORDINARY: Final = Surroundings()
"""Those of a machine with a new kernel, where the builder is root."""


def runtime_spec(process: Process, root: str, surroundings: Surroundings = ORDINARY) -> dict[str, Any]:
    """Return the `config.json` of a bundle that runs a process in a root.

    Args:
        process: what to run.
        root: absolute path of the root file system; it stays writable.
        surroundings: what the kernel allows.
    """
    identity = process.identity
    calls = seccomp()
    return {
        "ociVersion": "1.0.2",
        "root": {"path": root, "readonly": False},
        "hostname": process.hostname,
        "process": {
            "terminal": False,
            "user": {
                "uid": identity.uid,
                "gid": identity.gid,
                "additionalGids": list(identity.groups),
                "umask": 0o022,
            },
            "args": list(process.argv),
            "env": list(process.environment),
            "cwd": process.working_dir,
            "capabilities": _capabilities(process),
            "noNewPrivileges": False,
            "rlimits": [
                {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                {"type": "RLIMIT_NPROC", "soft": surroundings.processes, "hard": surroundings.processes},
            ],
        },
        "mounts": [
            *_runtime_mounts(surroundings),
            *(_mount(mount, surroundings.recursive) for mount in process.mounts),
        ],
        **({"hooks": {"createContainer": [_without_devices(root)]}} if surroundings.devices_open else {}),
        "linux": {
            "namespaces": _namespaces(process.network, own_proc=surroundings.own_proc),
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READ_ONLY_PATHS),
            **({"seccomp": calls} if calls is not None else {}),
        },
    }


def _without_devices(root: str) -> dict[str, Any]:
    """Return the hook that makes the root `nodev`, which the runtime's own bind of it takes away.

    A step may make a device node, and a layer may hold one, but it must open no device of the machine. The
    ordinary ones in /dev are bound there one by one (`rootfs/device_nodes.py`).
    """
    return {"path": SHELL, "args": ["sh", "-c", _REMOUNT, root]}


def _capabilities(process: Process) -> dict[str, list[str]]:
    """Only root holds capabilities; anybody may gain them through a set-uid program, as in a container."""
    bounding = [each for each in CAPABILITIES if each != _RAW_SOCKETS or not _lacks_raw_sockets(process)]
    held = bounding if process.identity.uid == 0 else []
    return {
        "bounding": bounding,
        "effective": held,
        "permitted": held,
        "inheritable": [],
        "ambient": [],
    }


def _lacks_raw_sockets(process: Process) -> bool:
    """Whether a capability must be missing, on the builder's network, as no filter sees what opens."""
    is_seen = platform.machine() in FILTERED_MACHINES and not process.makes_sockets_by_pointer
    return process.network is Network.BUILDER and not is_seen


def _namespaces(network: Network, *, own_proc: bool) -> list[dict[str, str]]:
    kinds = [*(["pid"] if own_proc else []), "ipc", "uts", "mount"]
    match network:
        case Network.BUILDER:
            pass
        case Network.NONE:
            kinds.append("network")
        case _:
            assert_never(network)
    return [{"type": kind} for kind in kinds]


def _runtime_mounts(surroundings: Surroundings) -> list[dict[str, Any]]:
    safe = ["nosuid", "noexec", "nodev"]
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    if surroundings.terminal_group:
        terminals.append(f"gid={TERMINAL_GROUP}")
    proc = {"type": "proc", "source": "proc", "options": safe}
    bound = {"type": "bind", "source": "/proc", "options": ["rbind", *safe]}
    return [
        {"destination": "/proc", **(proc if surroundings.own_proc else bound)},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "nodev", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": terminals,
        },
        {
            "destination": "/dev/shm",  # noqa: S108 - the sandbox's own
            "type": "tmpfs",
            "source": "shm",
            "options": [*safe, "mode=1777", "size=65536k"],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": safe},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*safe, "ro"]},
    ]


def _mount(mount: SandboxMount, recursive: bool) -> dict[str, Any]:
    match mount:
        case Bind():
            return {
                "destination": mount.target,
                "type": "bind",
                "source": mount.source,
                "options": _bind_options(mount, recursive),
            }
        case Device():
            return {
                "destination": mount.target,
                "type": "bind",
                "source": mount.source,
                "options": ["bind", "nosuid", "noexec"],
            }
        case Tmpfs():
            size = [] if mount.size is None else [f"size={mount.size}"]
            return {
                "destination": mount.target,
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["nosuid", "nodev", f"mode={mount.mode:o}", *size],
            }
        case _:
            assert_never(mount)


def _bind_options(bind: Bind, recursive: bool) -> list[str]:
    """Return mount options; what is mounted inside a directory is as restricted as the directory."""
    if recursive and not bind.is_file:
        return ["rbind", "rro" if bind.read_only else "rw", "rnosuid", "rnodev"]
    return ["rbind", "nosuid", "nodev", "ro" if bind.read_only else "rw"]
