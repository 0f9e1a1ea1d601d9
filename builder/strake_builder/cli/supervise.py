"""Puts the builder into namespaces of its own, so that however it ends nothing of it stays.

The command line forks: the child becomes the first process of a new PID namespace with a private mount
namespace, and builds; the parent passes signals on and waits. Whichever is killed, and however: the
kernel then ends every process of the namespace, and with the last one every mount is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Final

from strake_builder.cli.signals import STOPPING
from strake_builder.errors import BuildError, UnsupportedError
from strake_builder.rootfs.mounts import syscalls
from strake_builder.unforeseen import internal_error

_HINT: Final = "run as root, or in a pod with hostUsers: false and the capability SYS_ADMIN"
_PROC_HINT: Final = (
    "parts of /proc are masked here, as in most containers, and a user namespace then gets none of its own:"
    " in a pod set procMount: Unmasked beside hostUsers: false"
)
_HYBRID_CGROUPS: Final = b"/sys/fs/cgroup/unified"


def run_supervised(work: Callable[[], int], report: Callable[[BuildError], int]) -> int:
    """Run `work` in namespaces of its own and return the exit status that it returns.

    Must be called before any thread is started.

    Args:
        work: builds; its status is the command's.
        report: tells a person why `work` could not begin, or what broke in it unforeseen, and returns the
            exit status. Called in whichever of the two processes it happens.
    """
    try:
        with _explained("cannot make namespaces"):
            syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID)
        sys.stdout.flush()
        sys.stderr.flush()
        with _explained("cannot start the process that builds"):
            child = os.fork()
    except UnsupportedError as error:
        return report(error)
    if child == 0:
        os._exit(_child(work, report))
    return _wait(child)


def _child(work: Callable[[], int], report: Callable[[BuildError], int]) -> int:
    """The first process of the namespace. Neither it nor an exception may return into the parent's code."""
    status = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        _own_mounts()
        syscalls.leave_session_keyring()  # a step must not read the keys of the user who builds
        status = work()
    except BuildError as error:
        status = report(error)
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
        status = report(internal_error(error))
    finally:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            sys.stderr.flush()
    return status


@contextlib.contextmanager
def _explained(what: str, hint: str = _HINT) -> Iterator[None]:
    """Turn the kernel's refusal into a sentence.

    Raises:
        UnsupportedError: the kernel refuses it here.
    """
    try:
        yield
    except OSError as error:
        limit = "; a limit of /proc/sys/user is used up" if error.errno == errno.ENOSPC else ""
        raise UnsupportedError(f"{what}: {error.strerror}{limit}", hint=hint) from error


def _own_mounts() -> None:
    os.umask(0)
    with _explained("cannot make the mounts private"):
        syscalls.mount(b"none", b"/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    with _explained("cannot mount a fresh /proc", _PROC_HINT):
        syscalls.mount(b"proc", b"/proc", b"proc", flags)
    if os.path.isdir(_HYBRID_CGROUPS):
        # crun refuses to run where both cgroup versions are mounted, even when told to leave them alone.
        with contextlib.suppress(OSError):
            syscalls.unmount(_HYBRID_CGROUPS)


def _wait(child: int) -> int:
    """Pass signals on to the child and return its status.

    The signals are taken with `sigwait`: a Python handler would run after `waitpid` for a signal that comes
    just before it.
    """
    watched = {*STOPPING, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            os.kill(child, signal.SIGTERM if number == signal.SIGINT else number)
