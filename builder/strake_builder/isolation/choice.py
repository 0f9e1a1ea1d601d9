"""Finds the strictest way of isolation that can be had here, by trying and never by guessing.

Each way is tried in a process of its own, which makes its namespaces, mounts something and ends. What a
kernel, a seccomp profile, an AppArmor profile or a limit refuses shows there, whatever refuses it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final, assert_never

from strake_builder.errors import IsolationError
from strake_builder.isolation import namespaces
from strake_builder.isolation.chroot.container_root import container_refusal
from strake_builder.isolation.ways import WAYS, Isolation, Refusal, Wanted, Way
from strake_builder.rootfs.mounts import syscalls

_OWN_PROC: Final = b"own"
_CONTAINER_PROC: Final = b"container"
_HINTS: Final[dict[Way, str]] = {
    "root": "run as root of the machine, or give the container the capability SYS_ADMIN",
    "nested": "in a pod set hostUsers: false and procMount: Unmasked and name no seccomp profile; elsewhere"
    " allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)",
    "chroot": "run as root of a container whose root file system can be written to",
}


def choose(wanted: Wanted) -> Isolation:
    """Return the way to go.

    Raises:
        IsolationError: the way that was asked for, or any at all, cannot be had; with what to change.
    """
    refused: list[Refusal] = []
    for way in WAYS if wanted == "auto" else (wanted,):
        found = _try(way, tuple(refused))
        if isinstance(found, Isolation):
            return found
        refused.append(found)
    what = "no way of isolation can" if wanted == "auto" else f"the isolation {wanted} cannot"
    reasons = "; ".join(
        each.message if wanted != "auto" else f"{each.way}: {each.message}" for each in refused
    )
    raise IsolationError(f"{what} be had here: {reasons}", hint=refused[-1].hint)


def _try(way: Way, refused: tuple[Refusal, ...]) -> Isolation | Refusal:
    match way:
        case "root":
            return _try_namespaces(way, refused, lambda: None)
        case "nested":
            return _try_namespaces(way, refused, namespaces.enter_user_namespace)
        case "chroot":
            refusal = container_refusal()
            if refusal is None:
                return Isolation(way, own_proc=False, refused=refused)
            return Refusal(way, refusal, _HINTS[way])
        case _:
            assert_never(way)


def _try_namespaces(way: Way, refused: tuple[Refusal, ...], enter: Callable[[], None]) -> Isolation | Refusal:
    answer = _in_child(lambda: _trial(enter))
    if answer in {_OWN_PROC, _CONTAINER_PROC}:
        return Isolation(way, own_proc=answer == _OWN_PROC, refused=refused)
    return Refusal(way, answer.decode(errors="replace") or "the trial was killed", _HINTS[way])


def _trial(enter: Callable[[], None]) -> bytes:
    """Make the namespaces of a way, in a process that ends afterwards; return what was found."""
    doing = "a new user namespace is refused"
    try:
        enter()
        doing = "new mount and PID namespaces are refused"
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
        doing = "mounts are refused"
        namespaces.make_mounts_private()
        syscalls.mount(b"tmpfs", b"/proc", b"tmpfs", syscalls.MS_NOSUID)
        syscalls.unmount(b"/proc")
    except OSError as error:
        limit = "; a limit of /proc/sys/user is used up" if error.errno == errno.ENOSPC else ""
        return f"{doing}: {error.strerror}{limit}".encode()
    return _in_child(_trial_of_proc) or _CONTAINER_PROC


def _trial_of_proc() -> bytes:
    try:
        namespaces.mount_proc()
    except OSError:
        return _CONTAINER_PROC
    return _OWN_PROC


def _in_child(act: Callable[[], bytes]) -> bytes:
    """Return what something returns in a forked process; nothing if that was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.write(writer, act())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        answer = os.read(reader, 4096)
    finally:
        os.close(reader)
        os.waitpid(child, 0)
    return answer
