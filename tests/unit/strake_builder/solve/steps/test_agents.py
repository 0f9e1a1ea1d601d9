"""An agent that does not start, and one whose programs are missing."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

import pytest

from strake_builder.errors import StepError, UnsupportedError
from strake_builder.solve.inputs import RunInputs
from strake_builder.solve.steps.agents import SSHAgents
from strake_builder.solve.steps.forwarded_socket import connected, forwarded


class Places:
    """The part of a workspace that agents use."""

    def __init__(self, path):
        self.path, self.ends = str(path), []

    def memory_directory(self):
        return self.path

    def new_name(self, kind):
        return f"{kind}-{len(self.ends)}"

    def until_closed(self, close):
        self.ends.append(close)


def program(directory, name, text):
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def agents(tmp_path, monkeypatch, path):
    monkeypatch.setenv("PATH", str(path))
    places = Places(tmp_path)
    return places, SSHAgents(places, RunInputs(ssh_keys={"default": (b"key",)}))  # type: ignore[arg-type] # enough of one


def test_without_the_programs_the_package_is_named(tmp_path, monkeypatch):
    _, found = agents(tmp_path, monkeypatch, tmp_path)
    with contextlib.ExitStack() as scope, pytest.raises(UnsupportedError) as caught:
        found.offer("default", (0, 0), 0o600, scope)
    assert "openssh-client" in str(caught.value)


def test_an_agent_that_ends_at_once_says_why(tmp_path, monkeypatch):
    program(tmp_path, "ssh-agent", "echo no such thing >&2; exit 1")
    program(tmp_path, "ssh-add", "exit 0")
    places, found = agents(tmp_path, monkeypatch, tmp_path)
    with contextlib.ExitStack() as scope, pytest.raises(StepError, match="no such thing"):
        found.offer("default", (0, 0), 0o600, scope)
    for end in places.ends:
        end()


def test_a_socket_with_a_long_path_leads_to_another(tmp_path):
    directory = tmp_path / ("x" * 100)
    directory.mkdir()
    goal, path = str(directory / "goal"), str(directory / "new")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "short"))
        server.listen()
        (tmp_path / "short").rename(goal)

        def echo():
            peer, _ = server.accept()
            with peer:
                while data := peer.recv(100):
                    peer.sendall(data.upper())

        thread = threading.Thread(target=echo)
        thread.start()
        with forwarded(path, goal, (os.getuid(), os.getgid()), 0o640):
            assert (directory / "new").stat().st_mode & 0o777 == 0o640
            with connected(path) as peer:
                peer.sendall(b"hello")
                assert peer.recv(100) == b"HELLO"
        thread.join(10)
        assert not thread.is_alive()
    assert not (directory / "new").exists()
