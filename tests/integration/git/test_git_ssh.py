"""git over ssh, from OpenSSH's own server: as whom, to which hosts, and by which way."""

from __future__ import annotations

import os
import socket
import subprocess

import pytest

from strake_builder.context.git.fetch import GitCommit, check_out, resolve_ref
from strake_builder.context.git.ssh import SSHKey
from strake_builder.errors import SourceError
from strake_oci.http.denied_networks import NONE_DENIED, DeniedNetworks
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.ssh_server import make_key, running_ssh_server

OPEN = DeniedNetworks.parse(["169.254.0.0/16"])
"""A list that leaves the server open, so that its way is the one of pods."""
WAYS = pytest.mark.parametrize("networks", [NONE_DENIED, OPEN], ids=["direct", "checked"])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ssh") / "server"
    with running_ssh_server(directory, "127.0.0.1", "127.0.0.2") as running:
        running.commit("app", readme="one\n", Dockerfile="FROM scratch\nCOPY readme /\n")
        yield running


@pytest.fixture
def tree(tmp_path):
    made = tmp_path / "tree"
    made.mkdir()
    return made


def key_of(server, **changes):
    return SSHKey(
        changes.get("key", server.key).encode(), changes.get("known_hosts", server.known_hosts).encode()
    )


@WAYS
def test_a_key_opens_its_server(server, tree, networks):
    wanted = GitCommit(server.url("app"), "main", credentials=key_of(server), networks=networks)
    assert check_out(wanted, str(tree)) == server.git("app", "rev-parse", "HEAD")
    assert (tree / "readme").read_text() == "one\n"
    assert not [
        path for path in tree.rglob("*") if path.is_file() and "PRIVATE KEY" in path.read_text("latin-1")
    ]
    assert not list(tree.rglob("strake-*"))


def test_a_key_as_people_paste_it(server, tree):
    """Windows' line ends, and no line end at the end."""
    key = key_of(server, key=server.key.strip().replace("\n", "\r\n"))
    assert check_out(GitCommit(server.url("app"), credentials=key), str(tree))


@WAYS
@pytest.mark.parametrize("known", ["nobody", "another key"])
def test_a_server_that_known_hosts_does_not_tell_gets_nothing(server, tree, tmp_path, networks, known):
    make_key(tmp_path / "other")
    other = f"[{server.address}]:{server.port} {(tmp_path / 'other.pub').read_text()}"
    key = key_of(server, known_hosts=other if known == "another key" else "elsewhere.example ssh-rsa AAAA\n")
    before = server.log.count("Accepted")
    with pytest.raises(SourceError, match="Host key verification failed") as caught:
        check_out(GitCommit(server.url("app"), credentials=key, networks=networks), str(tree))
    assert "known_hosts lacks the server's key" in caught.value.hint
    assert server.log.count("Accepted") == before


def started_agent(path):
    """Start an agent without keys; it listens a moment after its socket is there."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)) != 0:
            assert agent.poll() is None
    return agent


@WAYS
def test_without_a_key_nobody_is_let_in_whatever_agent_runs(server, tree, tmp_path, networks, monkeypatch):
    """ADD and submodules; the user's agent has the key."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    agent = started_agent(tmp_path / "agent")
    try:
        subprocess.run(["ssh-add", "-q", server.directory / "key"], check=True)
        before = server.log.count("Accepted")
        for fetch in (
            lambda wanted: check_out(wanted, str(tree)),
            resolve_ref,
        ):
            with pytest.raises(SourceError):
                fetch(GitCommit(server.url("app"), "main", networks=networks))
        assert server.log.count("Accepted") == before
    finally:
        agent.terminate()
        agent.wait()


@WAYS
def test_submodules_of_the_server_get_the_key_and_no_others_do(server, tree, tmp_path, networks):
    library = server.commit("library", code="x\n")
    for name, url in (("near", server.url("library")), ("far", server.url("library", "127.0.0.2"))):
        server.commit(f"with-{name}", readme=name)
        work = server.directory / f"with-{name}"
        (work / ".gitmodules").write_text(f'[submodule "l"]\npath = l\nurl = {url}\n')
        server.git(work.name, "add", ".")
        server.git(work.name, "update-index", "--add", "--cacheinfo", f"160000,{library},l")
        server.git(work.name, "commit", "-qm", "with a submodule")
    # The other name is known, too, and leads to the same server: only the key is not for it.
    known = server.known_hosts + server.known_hosts.replace("127.0.0.1", "127.0.0.2")
    key = key_of(server, known_hosts=known)
    near = GitCommit(server.url("with-near"), credentials=key, networks=networks)
    check_out(near, str(tree))
    assert (tree / "l/code").read_text() == "x\n"
    far = tmp_path / "far"
    far.mkdir()
    with pytest.raises(SourceError, match="git submodule"):
        check_out(GitCommit(server.url("with-far"), credentials=key, networks=networks), str(far))


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@127.0.0.1:{port}/x",
        "ssh://git@localhost:{port}/x",
        "ssh://git@2130706433:{port}/x",
        "git@localhost:x",
        "ssh://git@[::1]:{port}/x",
    ],
)
@pytest.mark.parametrize("who", ["nobody", "key", "own"])
def test_no_way_leads_into_a_network_that_is_denied(server, tree, url, who, monkeypatch):
    """By none of the ways of naming it, and whatever the user's own configuration is."""
    networks = DeniedNetworks.parse(["127.0.0.0/8", "::1/128"])
    home = server.directory / "home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    (home / ".ssh/config").write_text(
        "Host *\nProxyCommand nc %h %p\nControlPath /tmp/x\nControlMaster auto\n"
    )
    monkeypatch.setenv("HOME", str(home))
    key = key_of(server) if who == "key" else None
    wanted = GitCommit(
        url.format(port=server.port), credentials=key, own_identity=who == "own", networks=networks
    )
    before = server.log.count("Connection from")
    with pytest.raises(SourceError, match="a network that builds may not reach"):
        check_out(wanted, str(tree))
    assert server.log.count("Connection from") == before


@pytest.mark.parametrize("host", ["$(touch pwned)", "a;touch pwned", "-oProxyCommand=touch pwned", "a`id`"])
def test_a_host_of_a_repositorys_choice_is_no_command(server, tree, host):
    server.commit("evil", readme="x")
    work = server.directory / "evil"
    (work / ".gitmodules").write_text(f'[submodule "l"]\npath = l\nurl = "ssh://{host}/x"\n')
    revision = server.git("app", "rev-parse", "HEAD")
    server.git("evil", "add", ".")
    server.git("evil", "update-index", "--add", "--cacheinfo", f"160000,{revision},l")
    server.git("evil", "commit", "-qm", "with a submodule")
    with pytest.raises(SourceError):
        check_out(GitCommit(server.url("evil"), credentials=key_of(server), networks=OPEN), str(tree))
    assert not list(tree.rglob("pwned"))


@pytest.mark.parametrize("how", ["agent", "files", "program"])
def test_the_command_line_is_the_user(server, tmp_path, how):
    """With their agent, the files in ~/.ssh, or the program that git is to use."""
    home, agent = tmp_path / "home", None
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/known_hosts").write_text(server.known_hosts)
    variables = {"PATH": os.environ["PATH"], "HOME": str(home)}
    if how == "agent":
        variables["SSH_AUTH_SOCK"] = str(tmp_path / "agent")
        agent = started_agent(tmp_path / "agent")
        subprocess.run(["ssh-add", "-q", server.directory / "key"], check=True, env=variables)
    elif how == "files":
        (home / ".ssh/id_ed25519").write_text(server.key)
        (home / ".ssh/id_ed25519").chmod(0o600)
    else:
        known = f"UserKnownHostsFile={home}/.ssh/known_hosts"
        variables["GIT_SSH_COMMAND"] = f"ssh -i {server.directory}/key -o {known}"
    command = [STRAKE, "build", "-c", server.url("app") + "#main", "--work-dir", tmp_path / "work"]
    try:
        done = run_strake([*command, "-o", tmp_path / "out"], variables, 180)
    finally:
        if agent is not None:
            agent.terminate()
            agent.wait()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/readme").read_text() == "one\n"
