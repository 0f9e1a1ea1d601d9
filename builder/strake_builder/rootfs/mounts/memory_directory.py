"""A directory whose files never reach a disk: what a secret may be written to."""

from __future__ import annotations

import os
import tempfile
from typing import Final

from strake_builder.errors import UnsupportedError
from strake_builder.rootfs.mounts import syscalls

SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - what is made in it gets a random name and mode 0700
SECRETS_PREFIX: Final = "strake-memory-"
"""Of the names of the directories that builds keep secrets in, in `SHARED_MEMORY`."""
_OPTIONS: Final = b"mode=0700,size=64m"
_MEMORY_TYPES: Final = frozenset({"tmpfs", "ramfs"})


def mount_memory(path: str) -> None:
    """Mount a file system in memory that nobody else may enter.

    Raises:
        OSError: the kernel refused.
    """
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount(b"tmpfs", os.fsencode(path), b"tmpfs", flags, _OPTIONS)


def make_shared_memory(prefix: str, *, location: str = SHARED_MEMORY) -> str:
    """Make a directory that nobody else may enter where the machine keeps shared memory; no mount is made.

    Args:
        prefix: of its name.
        location: where shared memory is.

    Raises:
        UnsupportedError: it is not in memory here.
    """
    if file_system_type(location) not in _MEMORY_TYPES:
        raise UnsupportedError(
            f"secrets need a place in memory, and {location} is none",
            hint="mount a tmpfs there (in a pod: an emptyDir with medium: Memory), or use --rootfs overlay",
        )
    return tempfile.mkdtemp(prefix=prefix, dir=location)


def file_system_type(path: str) -> str | None:
    """Return the type of the file system mounted exactly at a path, the topmost one; None where none is.

    Source: proc(5), /proc/PID/mountinfo.
    """
    found = None
    wanted = os.fsencode(path)
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            fields, _, rest = line.partition(b" - ")
            if fields.split()[4] == wanted:
                found = rest.split()[0].decode()
    return found
