"""Puts the builder into namespaces of its own, so that however it ends nothing of it stays.

The command line forks: the child becomes the first process of a new PID namespace with a private mount
namespace, and builds; the parent passes signals on and waits. Whoever is killed, and however: the
kernel then ends every process of the namespace, and with the last one every mount is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from strake_builder.errors import UnsupportedHere
from strake_builder.rootfs import syscalls

_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_HYBRID_CGROUPS: Final = b"/sys/fs/cgroup/unified"


def run_supervised(work: Callable[[], int]) -> int:
    """Run `work` in namespaces of its own and return the exit status that it returns.

    Must be called before any thread is started.

    Raises:
        UnsupportedHere: namespaces are not allowed here.
    """
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
    except PermissionError as error:
        raise UnsupportedHere(
            "cannot make namespaces",
            hint="run as root, or in a pod with hostUsers: false and the capability SYS_ADMIN",
        ) from error
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_child(work))
    return _wait(child)


def _child(work: Callable[[], int]) -> int:
    """The first process of the namespace. It must not return into the parent's code."""
    status = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        _own_mounts()
        status = work()
    finally:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            sys.stderr.flush()
    return status


def _own_mounts() -> None:
    os.umask(0)
    syscalls.mount(b"none", b"/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount(b"proc", b"/proc", b"proc", flags)
    if os.path.isdir(_HYBRID_CGROUPS):
        # crun refuses to run where both cgroup versions are mounted, even when told to leave them alone.
        with contextlib.suppress(OSError):
            syscalls.unmount(_HYBRID_CGROUPS)


def _wait(child: int) -> int:
    """Pass signals on to the child and return its status."""

    def pass_on(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM if number == signal.SIGINT else number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
