"""Starts steps from a process with one thread, which adopts and ends what they leave behind.

The builder has many threads when it runs a step, and what must be done between fork(2) and exec(2) here,
changing the root and the user and adopting orphans, is not safe in the child of such a process. So a process
is forked while there is one thread, the *spawner*. For each step it forks a *keeper*: the step's parent,
which waits for it, passes signals on, and afterwards ends every process that the step left running.

    builder ── socket: command, descriptors ──▶ spawner ─fork─▶ keeper ─fork, exec─▶ step
       ▲                                                          │
       └────────────────────── exit status ───────────────────────┘
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final, NoReturn

from strake_builder.isolation.processes import keeper
from strake_builder.rootfs.mounts import syscalls
from strake_oci.lazy_dataclass import dataclass

_DESCRIPTORS: Final = 16
"""Most that come with one command."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start.

    Attributes:
        argv: program and arguments; a program without a slash is searched in the PATH of `environment`.
        environment: all of it.
        directory: working directory, in `root`.
        root: the directory that becomes its root; None leaves the root as it is.
        user: uid, gid and further groups; None leaves them as they are, and the capabilities.
        umask: for new files.
        socket_filter: a seccomp filter, as hexadecimal digits; empty for none.
        leader_file: where the program writes the process ID of the one that it runs and that counts: when
            that ends, its siblings are ended. Empty where the program counts itself.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    directory: str = "/"
    root: str | None = None
    user: tuple[int, int, tuple[int, ...]] | None = None
    umask: int = 0o022
    socket_filter: str = ""
    leader_file: str = ""


class Spawned:
    """A process that was started. One thread waits for its end without a limit; others may ask meanwhile."""

    def __init__(self, answer: int, control: int) -> None:
        self._answer = answer
        self._control = control
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._status = 0
        self.refusal = ""
        """Why it could not be started, once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and for that of all it left behind; return its status, negative for a signal.

        Args:
            timeout: seconds to wait until the thread that waits without a limit has seen its end.

        Raises:
            subprocess.TimeoutExpired: it did not.
        """
        if timeout is None:
            self._read_answer()
        elif not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("step", timeout)
        return self._status

    def _read_answer(self) -> None:
        text = b"".join(iter(lambda: os.read(self._answer, 4096), b""))
        if text:
            result = json.loads(text)
            self._status, self.refusal = int(result["status"]), str(result["refusal"])
        else:  # the keeper was killed
            self._status = -signal.SIGKILL
        with self._lock:
            self._ended.set()
            os.close(self._answer)
            os.close(self._control)

    def poll(self) -> int | None:
        """Return its status, None while it runs."""
        return self._status if self._ended.is_set() else None

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._tell(keeper.TERMINATE)

    def kill(self) -> None:
        """End it and everything it started (SIGKILL)."""
        self._tell(keeper.KILL)

    def _tell(self, order: bytes) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):  # it may have ended just now
            if not self._ended.is_set():
                os.write(self._control, order)


class Spawner:
    """Starts processes. Make it before the first thread; thread-safe after that."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._socket.close()
            _serve(theirs)
        theirs.close()

    def start(self, command: Command, stdout: int, stderr: int, passed: Sequence[int] = ()) -> Spawned:
        """Start a process.

        Args:
            command: what to start; its standard input is empty.
            stdout: descriptor of its standard output.
            stderr: of its standard error.
            passed: more descriptors, which it gets under the same numbers.

        Raises:
            OSError: the spawner is gone, or there are too many descriptors.
        """
        with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
            answer, answer_writer = _owned(os.pipe(), ours, theirs)
            control_reader, control = _owned(os.pipe(), theirs, ours)
            text = os.memfd_create("command", os.MFD_CLOEXEC)
            theirs.callback(os.close, text)
            document = json.dumps([asdict(command), list(passed)]).encode()
            while document:
                document = document[os.write(text, document) :]
            sent = [text, stdout, stderr, answer_writer, control_reader, *passed]
            self._socket.sendmsg(
                [b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", sent).tobytes())]
            )
            ours.pop_all()  # the process is started: they are its from now on
        return Spawned(answer, control)


def _owned(pipe: tuple[int, int], *owners: contextlib.ExitStack) -> tuple[int, int]:
    """Return a pipe of whose two ends each is closed by its owner."""
    for fd, owner in zip(pipe, owners, strict=True):
        owner.callback(os.close, fd)
    return pipe


def _serve(requests: socket.socket) -> NoReturn:
    """What the spawner does, until the builder is gone."""
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # the builder decides what a signal means
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers answer by themselves
        while True:
            data, descriptors = _receive(requests)
            if not data:
                break
            if os.fork() == 0:
                requests.close()
                _keep(descriptors)
            for fd in descriptors:
                os.close(fd)
    finally:
        os._exit(0)


def _receive(requests: socket.socket) -> tuple[bytes, list[int]]:
    size = array.array("i").itemsize
    data, ancillary, _, _ = requests.recvmsg(
        1, socket.CMSG_SPACE(_DESCRIPTORS * size), socket.MSG_CMSG_CLOEXEC
    )
    found = array.array("i")
    for _, _, content in ancillary:
        found.frombytes(content[: len(content) // size * size])
    return data, found.tolist()


def _keep(descriptors: list[int]) -> NoReturn:
    try:
        text, stdout, stderr, answer, control, *passed = descriptors
        fields, numbers = json.loads(os.pread(text, os.fstat(text).st_size, 0))
        os.close(text)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        streams = keeper.Streams(stdout, stderr, dict(zip(numbers, passed, strict=True)))
        keeper.keep(fields, streams, answer, control)
    finally:
        os._exit(1)
