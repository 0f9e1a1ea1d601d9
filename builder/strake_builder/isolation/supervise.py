"""Starts the builder in its way of isolation, so that however it ends nothing of it stays.

The command line forks: the child builds; the parent passes signals on and waits. Where the child is the first
process of a PID namespace, the kernel ends every process of the namespace when either of them is killed, and
with the last one every mount is gone. Without one, the parent ends what the child left running.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

from strake_builder.errors import BuildError, IsolationError
from strake_builder.isolation import namespaces
from strake_builder.isolation.choice import choose
from strake_builder.isolation.chroot.container_root import runs_in_place
from strake_builder.isolation.processes.orphans import end_children
from strake_builder.isolation.ways import Isolation, Wanted
from strake_builder.rootfs.mounts import syscalls
from strake_builder.unforeseen import internal_error

STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that ask a command to end."""

Work = Callable[[Isolation], int]


def run_supervised(work: Work, report: Callable[[BuildError], int], wanted: Wanted = "auto") -> int:
    """Run `work` isolated and return the exit status that it returns.

    Must be called before any thread is started.

    Args:
        work: builds; its status is the command's.
        report: tells a person why `work` could not begin, or what broke in it unforeseen, and returns the
            exit status. Called in whichever of the two processes it happens.
        wanted: the way of isolation.
    """
    try:
        isolation = choose(wanted)
        _enter(isolation)
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
    except BuildError as error:
        return report(error)
    except OSError as error:
        return report(IsolationError(f"cannot start the process that builds: {error.strerror}"))
    if child == 0:
        os._exit(_child(work, report, isolation))
    status = _wait(child)
    if not isolation.own_proc:
        end_children()
    if isolation.way == "chroot" and runs_in_place():
        from strake_builder.isolation.chroot.presented import tidy_root

        tidy_root()
    return status


def _enter(isolation: Isolation) -> None:
    """Make the namespaces; the next process that is forked is in them.

    Raises:
        OSError: the kernel refuses what it allowed a moment ago.
    """
    if isolation.way == "nested":
        namespaces.enter_user_namespace()
    if isolation.makes_mounts:
        syscalls.unshare(syscalls.CLONE_NEWNS | (syscalls.CLONE_NEWPID if isolation.own_proc else 0))
    if not isolation.own_proc:
        syscalls.adopt_orphans()


def _mount(isolation: Isolation) -> None:
    try:
        if isolation.makes_mounts:
            namespaces.make_mounts_private()
        if isolation.makes_mounts and isolation.own_proc:
            namespaces.mount_proc()
    except OSError as error:
        raise IsolationError(f"cannot isolate the build: {error.strerror}") from error


def _child(work: Work, report: Callable[[BuildError], int], isolation: Isolation) -> int:
    """The process that builds. Neither it nor an exception may return into the parent's code."""
    status = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        os.umask(0)
        _mount(isolation)
        syscalls.leave_session_keyring()  # a step must not read the keys of the user who builds
        status = work(isolation)
    except BuildError as error:
        status = report(error)
    except Exception as error:  # noqa: BLE001 - a person gets a sentence, never a traceback
        status = report(internal_error(error))
    finally:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            sys.stderr.flush()
    return status


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
