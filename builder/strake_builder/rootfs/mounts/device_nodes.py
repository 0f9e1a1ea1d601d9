"""The devices that a step can open: six that are harmless, whatever nodes it makes.

A step may make device nodes, since Dockerfiles do, and they go into the layer. But a node opens the
machine's device, a disk for one, so every file system that a step can write to is mounted `nodev`. The six
devices of a container are bound into it one by one, from a file system that the step does not see. They
are nodes of the step's own where the kernel lets the builder make some, so that a step's chmod is not one
of the machine's.

Sources: mount(2), mknod(2); OCI runtime-spec 1.1, config-linux.md, "Default Devices".
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from strake_builder.rootfs.mounts import syscalls

DEVICES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
)
"""Name in /dev, major and minor number."""
_OPTIONS: Final = b"mode=0755,size=64k,nr_inodes=16"


@contextlib.contextmanager
def device_nodes(directory: str) -> Iterator[dict[str, str]]:
    """Yield the paths of a step's devices, by where they are in it, for the time of the context.

    Args:
        directory: an empty directory of one step.

    Raises:
        OSError: nothing can be mounted there.
    """
    flags = syscalls.MS_NOSUID | syscalls.MS_NOEXEC
    syscalls.mount(b"tmpfs", os.fsencode(directory), b"tmpfs", flags, _OPTIONS)
    try:
        yield {f"/dev/{name}": _node(directory, name) for name in DEVICES}
    finally:
        syscalls.unmount(os.fsencode(directory))


def _node(directory: str, name: str) -> str:
    """Return the path of a new node, or of the machine's where none can be made.

    In a user namespace the kernel refuses new ones. Those of the machine belong to nobody there, so that a
    step cannot change them, unless its root is the machine's.
    """
    path = os.path.join(directory, name)
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*DEVICES[name]))
    except PermissionError:
        return f"/dev/{name}"
    os.chmod(path, 0o666)
    return path
