"""SSH agents for RUN --mount=type=ssh: a socket for the step's user, and behind it an agent of the builder's.

A step gets a socket of its own, with the owner and the mode that its mount asks for, and every connection to
it is handed on. So a step of any user can use an agent that answers to its owner alone, and sees neither the
agent's own socket nor a key. For keys in files an agent is started, with OpenSSH's programs; it ends with the
build.

Source: OpenSSH, PROTOCOL.agent; ssh-agent(1).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from strake_builder.errors import InvalidRequestError, StepError, UnsupportedError
from strake_builder.solve.inputs import RunInputs
from strake_builder.solve.steps.forwarded_socket import connected, forwarded
from strake_builder.solve.workspace.workspace import Workspace

_PATIENCE: Final = 10.0
"""Seconds for an agent to start, or to take a key, on a busy machine."""
_BETWEEN: Final = 0.01
_SHOWN: Final = 200


class SSHAgents:
    """The agents of a build. Thread-safe.

    Args:
        workspace: where sockets are made, in memory.
        inputs: keys, and sockets of agents that run already.
    """

    def __init__(self, workspace: Workspace, inputs: RunInputs) -> None:
        self._workspace = workspace
        self._inputs = inputs
        self._started: dict[str, str] = {}
        self._guard = threading.Lock()

    def __contains__(self, name: str) -> bool:
        return name in self._inputs.ssh_sockets or name in self._inputs.ssh_keys

    def offer(self, name: str, owner: tuple[int, int], mode: int, scope: contextlib.ExitStack) -> str:
        """Return the path of a new socket that leads to an agent; it is gone when `scope` closes.

        Args:
            name: of the agent, which must be among those the build was given.
            owner: user and group of the socket.
            mode: its permission bits.
            scope: of the step.

        Raises:
            InvalidRequestError: a key cannot be used.
            UnsupportedError: there is no ssh-agent.
            StepError: the agent does not answer.
        """
        agent = self._inputs.ssh_sockets.get(name) or self._start(name)
        path = os.path.join(self._workspace.memory_directory(), self._workspace.new_name("ssh"))
        scope.enter_context(forwarded(path, agent, owner, mode))
        return path

    def _start(self, name: str) -> str:
        with self._guard:
            if name not in self._started:
                self._started[name] = self._new_agent(name, self._inputs.ssh_keys[name])
            return self._started[name]

    def _new_agent(self, name: str, keys: tuple[bytes, ...]) -> str:
        if shutil.which("ssh-agent") is None or shutil.which("ssh-add") is None:
            raise UnsupportedError(
                "SSH keys need ssh-agent and ssh-add, and they are not installed",
                hint="install openssh-client, or use Strake's builder image",
            )
        directory, socket_name = self._workspace.memory_directory(), self._workspace.new_name("agent")
        # A socket's address is short, a path may be long: both programs are told a name where they run.
        process = subprocess.Popen(
            ["ssh-agent", "-D", "-a", socket_name],
            cwd=directory,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._workspace.until_closed(partial(_ended, process))
        path = os.path.join(directory, socket_name)
        _await_agent(process, path)
        for key in keys:
            _add_key(name, key, directory, socket_name)
        return path


def _environment(**more: str) -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never", **more}


def _await_agent(process: subprocess.Popen[bytes], path: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(OSError), connected(path):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise StepError(f"ssh-agent does not start: {_end(process) or 'it is silent'}")
        time.sleep(_BETWEEN)  # nothing tells when it listens


def _add_key(name: str, key: bytes, directory: str, socket_name: str) -> None:
    try:
        done = subprocess.run(
            ["ssh-add", "-q", "-"],
            cwd=directory,
            env=_environment(SSH_AUTH_SOCK=socket_name),
            input=key if key.endswith(b"\n") else key + b"\n",  # without its last line feed no key is read
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            start_new_session=True,  # no terminal to ask for a passphrase
        )
    except subprocess.TimeoutExpired as error:
        raise StepError(f"ssh-add did not add the SSH key {name!r} within {_PATIENCE:.0f} s") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise InvalidRequestError(
            f"the SSH key {name!r} cannot be used: {words[0][:_SHOWN] if words else 'no reason is given'}",
            hint="give a private key without a passphrase, whole, as ssh-keygen writes it",
        )


def _ended(process: subprocess.Popen[bytes]) -> None:
    _end(process)


def _end(process: subprocess.Popen[bytes]) -> str:
    """End an agent, once; return the beginning of what it wrote."""
    if process.returncode is not None and (process.stderr is None or process.stderr.closed):
        return ""
    process.terminate()
    try:
        _, words = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        _, words = process.communicate()
    return words.decode(errors="replace").strip()[:_SHOWN]
