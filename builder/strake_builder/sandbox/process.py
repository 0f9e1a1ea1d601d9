"""What runs in a sandbox, as values: the executor decides, `spec` writes it down, `crun` runs it."""

from __future__ import annotations

from enum import Enum
from typing import Final

from strake_oci.lazy_dataclass import dataclass


class Network(Enum):
    """What a process can reach."""

    BUILDER = "builder"
    """The builder's own network: `--network=default` and `host` inside a pod are the same."""
    NONE = "none"
    """A loopback interface and nothing else."""


TMPFS_MODE: Final = 0o1777
"""Permission bits of a file system in memory that hides no directory: the kernel's default."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a process is.

    Attributes:
        uid: user.
        gid: primary group.
        groups: supplementary groups.
    """

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or directory of the builder that appears in the sandbox.

    Attributes:
        source: absolute path that the builder sees.
        target: absolute path in the sandbox.
        read_only: refuse writes, also to what is mounted inside the source.
        is_file: the source is no directory, so that nothing can be mounted inside it.
    """

    source: str
    target: str
    read_only: bool = True
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device node that opens, unlike any that a step makes.

    Attributes:
        source: absolute path that the builder sees.
        target: absolute path in the sandbox.
    """

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """An empty file system in memory.

    Attributes:
        target: absolute path in the sandbox.
        size: in bytes, None for the kernel's default.
        mode: permission bits of its directory.
    """

    target: str
    size: int | None = None
    mode: int = TMPFS_MODE


SandboxMount = Bind | Device | Tmpfs


@dataclass(frozen=True, slots=True)
class Process:
    """One command.

    Attributes:
        argv: program and arguments; a program without a slash is searched in the PATH of `environment`.
        environment: "K=V", complete.
        working_dir: absolute path in the sandbox.
        identity: who runs it.
        network: what it can reach.
        mounts: what appears in its file system, in order.
        hostname: what it takes the machine to be called.
        makes_sockets_by_pointer: its programs are 32-bit ones of x86, which use socketcall(2).
    """

    argv: tuple[str, ...]
    environment: tuple[str, ...] = ()
    working_dir: str = "/"
    identity: Identity = Identity()
    network: Network = Network.BUILDER
    mounts: tuple[SandboxMount, ...] = ()
    hostname: str = "strake"
    makes_sockets_by_pointer: bool = False
