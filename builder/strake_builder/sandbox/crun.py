"""Runs a bundle with crun, or with any program of the same command line (runc, runsc).

The runtime is a child of the builder; the step is the first process of a PID namespace, so that
everything it leaves running dies with it. Resource limits are the pod's: cgroups stay as they are.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from strake_builder.errors import UnsupportedError
from strake_builder.sandbox.children import GRACE_SECONDS, Child, Children
from strake_builder.sandbox.output_lines import LineSink, OutputLines
from strake_builder.sandbox.process import Network, Process
from strake_builder.sandbox.socket_filter import filtered, socket_filter
from strake_builder.sandbox.spec import ORDINARY, Surroundings, runtime_spec
from strake_oci.lazy_dataclass import dataclass

_RUNTIME_FAILED: Final = "error"
_EXEC_FAILED: Final = "exec container process"
"""How crun's last error begins. It goes to the step's stderr, since the log is closed by then."""
_LOG_BYTES: Final = 64 << 10
"""Of the runtime's log, which holds a line or two, as much is read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Attributes:
        status: exit status; 128 plus the signal's number where a signal ended it.
        tail: the last lines it printed.
        runtime_message: the runtime's message when it could not start the command, else empty.
    """

    status: int
    tail: tuple[str, ...]
    runtime_message: str = ""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The runtime's process.

    Attributes:
        command: program and arguments.
        environment: all of it.
        socket_filter: what it, and with it the step, may open: see `sandbox/socket_filter.py`.
        pid_file: where it writes the process ID of the step.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    socket_filter: bytes
    pid_file: str


Start = Callable[[Runtime, int, int, int], Child]
"""(process, its standard output, its standard error, a descriptor to pass on) → started."""


class Crun:
    """Runs processes in bundles under one directory.

    Args:
        directory: an existing directory for bundles and the runtime's state.
        program: the runtime.
        pivot_root: whether pivot_root(2) is allowed; a pod's default seccomp profile refuses it,
            and the runtime then moves the mount and changes its root instead.
        surroundings: what the kernel allows here.
        start: starts the runtime, in place of a child of the builder itself.
    """

    mounts_devices: Final = True

    def __init__(
        self,
        directory: str,
        *,
        program: str = "crun",
        pivot_root: bool = True,
        surroundings: Surroundings = ORDINARY,
        start: Start | None = None,
    ) -> None:
        found = shutil.which(program)
        if found is None:
            raise UnsupportedError(
                f"the OCI runtime {program} is not installed",
                hint="RUN needs it: install the package crun, use Strake's builder image, or do without:"
                " --isolation chroot",
            )
        self._program = found
        self._directory = directory
        self._pivot_root = pivot_root
        self._surroundings = surroundings
        self._start = start or _start_filtered
        self._children: Children[Child] = Children()

    def run(self, process: Process, root: str, sink: LineSink) -> Outcome:
        """Run a process to its end, passing its output on line by line.

        Args:
            process: what to run.
            root: absolute path of its root file system.
            sink: gets each line.

        Raises:
            InternalError: the sandbox was stopped before the process began.
        """
        name = f"strake-{uuid.uuid4().hex[:12]}"
        bundle = Path(self._directory, name)
        bundle.mkdir(mode=0o700)
        try:
            spec = runtime_spec(process, root, self._surroundings)
            (bundle / "config.json").write_bytes(os.fsencode(json.dumps(spec, ensure_ascii=False)))
            sockets = socket_filter(
                own_network=process.network is Network.NONE, by_pointer=process.makes_sockets_by_pointer
            )
            return self._run_bundle(name, str(bundle), sockets, sink)
        finally:
            shutil.rmtree(bundle, ignore_errors=True)

    def _run_bundle(self, name: str, bundle: str, sockets: bytes, sink: LineSink) -> Outcome:
        lines = OutputLines(sink)
        with _log_in_memory() as log:
            pid_file = os.path.join(bundle, "pid")
            flags = ["--bundle", bundle, "--pid-file", pid_file, *self._run_flags()]
            command = tuple(self._command("run", log, *flags, name))
            return self._run_logged(name, Runtime(command, _environment(), sockets, pid_file), lines, log)

    def _run_logged(self, name: str, runtime: Runtime, lines: OutputLines, log: int) -> Outcome:
        _, status = self._children.run(name, lambda out, err: self._start(runtime, out, err, log), lines)
        message = _errors(_log_lines(log)) or (_errors(lines.tail[-1:], _EXEC_FAILED) if status else "")
        return Outcome(status, lines.tail, message)

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Ask every running process to end (SIGTERM), then make it (SIGKILL); no new one starts after.

        Args:
            grace: seconds between the two.
        """
        self._children.stop(
            lambda each: self._signal(each.name, "TERM"),
            lambda each: self._signal(each.name, "KILL"),
            lambda each: each.child.kill(),
            grace=grace,
        )

    def _signal(self, name: str, signal: str) -> None:
        subprocess.run(
            self._command("kill", None, name, signal),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _command(self, verb: str, log: int | None, *arguments: str) -> list[str]:
        logging = [] if log is None else ["--log", f"/proc/self/fd/{log}", "--log-format", "json"]
        state = ["--root", os.path.join(self._directory, "state"), "--cgroup-manager", "disabled"]
        return [self._program, *state, *logging, verb, *arguments]

    def _run_flags(self) -> list[str]:
        return ["--no-new-keyring"] if self._pivot_root else ["--no-new-keyring", "--no-pivot"]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath)}


def _start_filtered(runtime: Runtime, out: int, err: int, log: int) -> subprocess.Popen[bytes]:
    return filtered(
        runtime.socket_filter,
        lambda: subprocess.Popen(
            runtime.command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=runtime.environment,
            pass_fds=[log],
            start_new_session=True,
        ),
    )


@contextlib.contextmanager
def _log_in_memory() -> Iterator[int]:
    """Yield a descriptor for the runtime's log: on a full disk the runtime could not write why it failed."""
    log = os.memfd_create("runtime-log", os.MFD_CLOEXEC)
    try:
        yield log
    finally:
        os.close(log)


def _log_lines(log: int) -> list[str]:
    return os.pread(log, _LOG_BYTES, 0).decode(errors="replace").splitlines()


def _errors(lines: Iterable[str], beginning: str = "") -> str:
    """Return what the runtime logged as an error: the command was not found, a mount was refused."""
    messages = []
    for line in lines:
        with contextlib.suppress(ValueError, AttributeError):
            entry = json.loads(line)
            message = str(entry.get("msg", ""))
            if entry.get("level") == _RUNTIME_FAILED and message.startswith(beginning):
                messages.append(message)
    return "; ".join(messages)
