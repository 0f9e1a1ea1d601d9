"""ADD of a repository by ssh: with the key or the agent of `--ssh default`, to servers that are known, and no others."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.ssh_server import make_key, running_ssh_server
from tests.integration.git.test_git_ssh import started_agent


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_ssh_server(tmp_path_factory.mktemp("ssh") / "server", "127.0.0.1", "127.0.0.2") as running:
        running.commit("app", readme="private\n")
        yield running


def add(tmp_path, server, *flags: str, address: str = "", known_hosts: str | None = None):
    """Build what adds the repository, and return how it went."""
    context = tmp_path / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM scratch\nADD {server.url('app', address)} /app/\n")
    (tmp_path / "known_hosts").write_text(server.known_hosts if known_hosts is None else known_hosts)
    words = [STRAKE, "build", "-c", str(context), "--work-dir", str(tmp_path / "work"), *flags]
    words += ["--output", f"type=local,dest={tmp_path / 'out'}", "--no-push"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return run_strake(words, variables, 180)


def hosts(tmp_path) -> str:
    return f"--secret=id=SSH_KNOWN_HOSTS,src={tmp_path / 'known_hosts'}"


@pytest.mark.parametrize("how", ["key", "agent"])
def test_a_key_or_an_agent_opens_a_server_that_is_known(server, tmp_path, how):
    agent = None
    given = str(server.directory / "key")
    if how == "agent":
        given = str(tmp_path / "agent")
        agent = started_agent(tmp_path / "agent")
        words = ["ssh-add", "-q", str(server.directory / "key")]
        subprocess.run(words, check=True, env={**os.environ, "SSH_AUTH_SOCK": given})
    try:
        done = add(tmp_path, server, f"--ssh=default={given}", hosts(tmp_path))
    finally:
        if agent is not None:
            agent.terminate()
            agent.wait()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/app/readme").read_text() == "private\n"


def test_a_server_that_is_not_known_gets_no_key(server, tmp_path):
    """The Dockerfile names the server, at another address here."""
    done = add(
        tmp_path, server, f"--ssh=default={server.directory}/key", hosts(tmp_path), address="127.0.0.2"
    )
    assert done.returncode == 4, done.stderr
    assert "known_hosts lacks the server's key" in done.stderr


@pytest.mark.parametrize("lacks", ["hosts", "key", "the right key"])
def test_what_lacks_is_told(server, tmp_path, lacks):
    make_key(tmp_path / "other")
    key = tmp_path / "other" if lacks == "the right key" else server.directory / "key"
    flags = [] if lacks == "key" else [f"--ssh=default={key}"]
    flags += [] if lacks == "hosts" else [hosts(tmp_path)]
    done = add(tmp_path, server, *flags)
    assert done.returncode == 4, done.stderr
    if lacks == "the right key":
        assert "Permission denied" in done.stderr
    else:
        assert "is fetched by ssh as nobody" in done.stderr
    assert not (tmp_path / "out/app").exists()
