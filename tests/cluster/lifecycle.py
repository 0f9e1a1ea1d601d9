"""Up and down: both may be called at any time, any number of times.

`up` returns at once where the cluster already runs as this source tree describes it. `down` ends one
process, and the kernel does most of the rest.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.binaries import binaries, binaries_directory, policies_program
from tests.cluster.configuration import configure
from tests.cluster.control_groups import make_control_groups, remove_control_groups
from tests.cluster.network import network_down, network_up
from tests.cluster.processes import READY_URL, START_SECONDS, answers, commands, log_file
from tests.cluster.requirements import check_requirements
from tests.cluster.settings import CACHE, COVERED, DIR, KUBECONFIG, PAUSE_IMAGE, REGISTRY
from tests.images.push import push_image

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUPERVISOR_LOG = "supervisor"
# The cluster outlives the call that starts it: held, so that nobody takes its process for forgotten.
_started: list[subprocess.Popen[bytes]] = []


class ClusterError(Exception):
    """The cluster did not start; the message names the log to read and quotes its end."""


def up() -> None:
    """Start the cluster where it does not run: compile, configure, start, wait until the node is ready.

    Raises:
        MissingRequirementsError: The machine lacks a program or a privilege.
        ClusterError: A component did not start.
    """
    check_requirements()
    with _lock():
        programs = binaries()
        if is_up():
            return
        _stop()
        print("starting the test cluster (10 to 20 s) …", file=sys.stderr, flush=True)
        configure(programs)
        network_up(DIR)
        make_control_groups()
        for directory in COVERED:
            directory.mkdir(parents=True, exist_ok=True)
        supervisor = _start_supervisor(programs)
        try:
            _wait_for_registry(supervisor)
            push_image("pause", PAUSE_IMAGE)
            _wait_for_node(programs, supervisor)
        except BaseException as problem:
            _stop(keep_logs=True)
            if isinstance(problem, ClusterError):
                raise
            raise ClusterError(f"the cluster did not start: {problem}; see {DIR}/*.log") from problem


def down() -> None:
    """Stop everything and leave no trace but the caches."""
    with _lock():
        _stop()


def is_up() -> bool:
    """Return whether the cluster runs, with the programs of this source tree, and answers."""
    pid = _supervisor_pid()
    if pid is None or (DIR / "programs").read_text() != _programs():
        return False
    return answers(READY_URL) is None and answers(f"http://{REGISTRY}/v2/") is None


def _programs() -> str:
    return f"{binaries_directory()} {policies_program()}"


def environment() -> dict[str, str]:
    """Return the variables that make kubectl talk to the cluster."""
    return {
        "KUBECONFIG": str(KUBECONFIG),
        "KUBECACHEDIR": str(DIR / "kubectl-cache"),
        "PATH": f"{binaries_directory()}:{os.environ['PATH']}",
    }


@contextmanager
def _lock() -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start_supervisor(programs: Path) -> subprocess.Popen[bytes]:
    namespaces = ["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--propagation=private"]
    (DIR / "programs").write_text(_programs())
    with log_file(_SUPERVISOR_LOG).open("wb") as log:
        process = subprocess.Popen(
            ["unshare", *namespaces, sys.executable, "-m", "tests.cluster", "supervise", str(programs)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).resolve().parents[2],
            start_new_session=True,
        )
    (DIR / "pid").write_text(str(process.pid))
    _started.append(process)
    return process


def _supervisor_pid() -> int | None:
    """Return the running supervisor's process ID. A number that another process got by now does not count."""
    try:
        pid = int((DIR / "pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if _is_supervisor(Path("/proc", str(pid))) else None


def _supervisors() -> list[int]:
    """Return the supervisors of all clusters on this machine."""
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _is_supervisor(entry)]


def _is_supervisor(process: Path) -> bool:
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"tests.cluster" in command and b"supervise" in command


def _wait_for_registry(supervisor: subprocess.Popen[bytes]) -> None:
    _wait(supervisor, lambda: answers(f"http://{REGISTRY}/v2/"), "registry")


def _wait_for_node(programs: Path, supervisor: subprocess.Popen[bytes]) -> None:
    kubectl = [str(programs / "kubectl"), f"--kubeconfig={KUBECONFIG}"]

    def problem(*arguments: str) -> str | None:
        done = subprocess.run(
            [*kubectl, *arguments], capture_output=True, text=True, env={**os.environ, **environment()}
        )
        return done.stderr if done.returncode else None

    _wait(supervisor, lambda: answers(READY_URL), "kube-apiserver")
    _wait(
        supervisor, lambda: problem("wait", "--for=condition=Ready", "node/node", "--timeout=5s"), "kubelet"
    )
    _wait(supervisor, lambda: problem("get", "serviceaccount/default"), "kube-controller-manager")


def _wait(supervisor: subprocess.Popen[bytes], problem, component: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (found := problem()) is not None:
        if supervisor.poll() is not None:
            raise ClusterError(_explain(f"the cluster's supervisor ended with {supervisor.returncode}"))
        if time.monotonic() > deadline:
            raise ClusterError(
                _explain(f"{component} was not ready after {START_SECONDS} s: {found.strip()}")
            )
        time.sleep(0.1)


def _explain(what: str) -> str:
    """Return what happened, with the log that knows more."""
    lines = [what]
    supervisor = log_file(_SUPERVISOR_LOG).read_text(errors="replace").strip()
    if supervisor:
        lines.append(supervisor)
    ended = [name for name in commands() if f"{name} ended" in supervisor]
    for name in ended:
        tail = log_file(name).read_text(errors="replace").strip().splitlines()[-10:]
        lines += [f"--- the end of {log_file(name)}", *tail]
    if not ended:
        lines.append(f"see {DIR}/*.log")
    return "\n".join(lines)


def _stop(*, keep_logs: bool = False) -> None:
    pid = _supervisor_pid()
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        # The namespace's first process ends after all others; its parent, which we killed, does not wait.
        _wait_until_gone(pid)
    network_down(DIR)
    remove_control_groups()
    # Removing a directory takes the mounts on it away from every mount namespace: from another cluster's, too.
    for directory in () if _supervisors() else COVERED:
        with suppress(OSError):
            directory.rmdir()
    if keep_logs:
        (DIR / "pid").unlink(missing_ok=True)
    else:
        shutil.rmtree(DIR, ignore_errors=True)


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while _runs(pid) or _members():
        for process in _started:
            process.poll()
        if time.monotonic() > deadline:
            raise ClusterError(f"processes {_members() or pid} of the cluster do not end")
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    """Return whether a process has not ended. Where who started it is gone, it may stay as a zombie for a while."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _members() -> list[int]:
    """Return the processes that have a file of the cluster's as command line argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if str(DIR).encode() + b"/" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found
