"""The parent of one step: starts it, waits for it, and ends what it left running. See `spawner`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
from pathlib import Path
from typing import Any, Final, NoReturn

from strake_builder.isolation.processes.capabilities import drop_all_but_a_containers
from strake_builder.isolation.processes.limits import process_limit
from strake_builder.isolation.processes.orphans import end_children, kill_descendants, kill_group
from strake_builder.rootfs.mounts import syscalls
from strake_builder.sandbox.socket_filter import set_filter
from strake_oci.lazy_dataclass import dataclass

TERMINATE: Final = b"T"
KILL: Final = b"K"
_DEFAULTS: Final = frozenset(
    {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGCHLD}
)
_LOOK: Final = 50
"""Milliseconds between two looks at a leader."""
_NOT_FOUND: Final = 127
_NOT_STARTED: Final = 126


@dataclass(frozen=True, slots=True)
class Streams:
    """What a step has open.

    Attributes:
        stdout: its standard output.
        stderr: its standard error.
        passed: further descriptors, by the number that the step knows.
    """

    stdout: int
    stderr: int
    passed: dict[int, int]


def keep(command: dict[str, Any], streams: Streams, answer: int, control: int) -> None:
    """Run a command to its end; write how it ended.

    Args:
        command: the fields of `spawner.Command`.
        streams: what it has open.
        answer: gets a JSON object: `status`, negative for a signal, and `refusal` if it could not be started.
        control: brings orders; when its other end is closed, the builder is gone and the step ends.
    """
    syscalls.adopt_orphans()
    reader, writer = os.pipe()
    # Ignored here, a signal would be lost until the child has its default; blocked, it waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _DEFAULTS)
    child = os.fork()
    if child == 0:
        _become(command, streams, writer)
    os.close(writer)
    for fd in (streams.stdout, streams.stderr, *streams.passed.values()):
        os.close(fd)
    _obey(child, control, command["leader_file"])
    kill_group(child)  # before it is waited for, while its number is nobody else's
    _, status = os.waitpid(child, 0)
    end_children()
    refusal = b"".join(iter(lambda: os.read(reader, 4096), b"")).decode(errors="replace")
    result = {"status": os.waitstatus_to_exitcode(status), "refusal": refusal}
    os.write(answer, json.dumps(result).encode())


def _obey(child: int, control: int, leader_file: str) -> None:
    """Pass orders on until the child has ended."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(control, select.POLLIN)
    leader = _Leader(leader_file) if leader_file else None
    while ended not in (ready := {fd for fd, _ in poll.poll(_LOOK if leader else None)}):
        if leader is not None and leader.has_ended():
            leader.end_group()
            kill_descendants(child)
        if control in ready:
            order = os.read(control, 1)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM if order == TERMINATE else signal.SIGKILL)
            if not order:
                poll.unregister(control)
    os.close(ended)


class _Leader:
    """The process that counts among those that a program runs: crun's, which waits for the others, too."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._number = 0
        self._fd: int | None = None

    def has_ended(self) -> bool:
        """Say whether it has begun and ended."""
        if self._fd is None:
            try:
                number = int(Path(self._file).read_text())
                self._fd = os.pidfd_open(number)
                self._number = number
            except (FileNotFoundError, ValueError):
                return False  # it has not begun
            except ProcessLookupError:
                return True
        return bool(select.select([self._fd], [], [], 0)[0])

    def end_group(self) -> None:
        """End what it left behind and did not become the leader of a group of its own, at once."""
        if self._number:
            kill_group(self._number)
            self._number = 0


def _become(command: dict[str, Any], streams: Streams, refusal: int) -> NoReturn:
    """Turn this process into the command."""
    status = _NOT_STARTED
    try:
        os.setsid()
        for number in _DEFAULTS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEFAULTS)
        refusal = _arrange(streams, refusal)
        os.umask(command["umask"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NPROC, (process_limit(), process_limit()))
        if command["root"] is not None:
            os.chroot(command["root"])
        os.chdir(command["directory"])
        if command["user"] is not None:
            uid, gid, groups = command["user"]
            drop_all_but_a_containers()
            _set_groups(groups, gid)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        if command["socket_filter"]:
            set_filter(bytes.fromhex(command["socket_filter"]))
        argv = [os.fsencode(word) for word in command["argv"]]
        os.execvpe(argv[0], argv, {os.fsencode(k): os.fsencode(v) for k, v in command["environment"]})  # noqa: S606 - the words are a program's, no shell's
    except FileNotFoundError as error:
        status = _NOT_FOUND
        os.write(refusal, f"{command['argv'][0]}: {error.strerror}".encode(errors="replace"))
    except OSError as error:
        os.write(refusal, f"{command['argv'][0]}: {error.strerror}".encode(errors="replace"))
    finally:
        os._exit(status)


def _set_groups(groups: list[int], primary: int) -> None:
    try:
        os.setgroups(groups)
    except PermissionError:
        # A user namespace of one ID has no groups to give up; setgroups(2) is denied there for good.
        if set(groups) - {primary}:
            raise


def _arrange(streams: Streams, refusal: int) -> int:
    """Give descriptors the numbers that the command knows, and the rest close-on-exec; return `refusal`'s."""
    above = max([64, *streams.passed]) + 1
    refusal, stdout, stderr = (
        fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in (refusal, streams.stdout, streams.stderr)
    )
    moved = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for number, fd in streams.passed.items()}
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, number in ((null, 0), (stdout, 1), (stderr, 2), *((fd, number) for number, fd in moved.items())):
        os.dup2(fd, number)
    return refusal
