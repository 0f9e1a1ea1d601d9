"""`--ssh`: a socket of an agent, or files of keys."""

from __future__ import annotations

import socket

import pytest

from strake_builder.cli.flags.building import read_ssh
from strake_builder.errors import InvalidRequestError


def test_a_socket_is_an_agents_and_files_are_keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind("agent")
        for name, content in (("one", "1"), ("two", "2"), ("a,b", "3")):
            (tmp_path / name).write_text(content)
        sockets, keys = read_ssh(["default=agent", "both=one,two", "comma=a,b"])
    assert sockets == {"default": str(tmp_path / "agent")}
    assert keys == {"both": (b"1", b"2"), "comma": (b"3",)}


@pytest.mark.parametrize("given", ["default=nowhere", "default=one,nowhere"])
def test_what_is_not_there_is_named(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").write_text("1")
    with pytest.raises(InvalidRequestError, match="cannot read nowhere: No such file"):
        read_ssh([given])


def test_without_a_socket_that_of_the_environment_is_meant(tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(InvalidRequestError, match="no agent runs here"):
        read_ssh(["default"])
